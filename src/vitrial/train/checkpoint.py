"""Checkpoints: all that a run needs to go on, in one atomic file that holds no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from vitrial.atomic import replacing

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"
"""What a stage leaves: those of the best validation score, or of the last teacher."""

History = list[dict[str, Any]]


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, history: History
) -> None:
    """Write model, optimizer and the metrics of the epochs so far.

    Nothing else is needed: schedules are functions of the history, and generators are seeded
    anew for each epoch and step.
    """
    content = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": history,
    }
    with replacing(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> History:
    """Put model and optimizer where the checkpoint left them; give back its history."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(content["model"])
    optimizer.load_state_dict(content["optimizer"])
    history: History = content["history"]
    return history


def save_weights(path: Path, model: nn.Module) -> None:
    """Write a plain state dict as safetensors, as timm loads it."""
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as temporary:
        save_file(state, temporary)
