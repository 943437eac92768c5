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
State = dict[str, torch.Tensor]


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: History,
    best: State | None = None,
) -> None:
    """Write model, optimizer, the metrics of the epochs so far, and the best weights among them.

    Nothing else is needed: schedules are functions of the history, and generators are seeded
    anew for each epoch and step. The best weights lie in the same file as the history that names
    their epoch, so that no crash can leave those of another epoch beside it.
    """
    content = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": history,
        "best": best,
    }
    with replacing(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[History, State | None]:
    """Put model and optimizer where the checkpoint left them; its history and best weights."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(content["model"])
    optimizer.load_state_dict(content["optimizer"])
    history: History = content["history"]
    best: State | None = content["best"]
    return history, best


def copy_of_weights(model: nn.Module) -> State:
    """The model's state dict as it is now, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def save_weights(path: Path, state: State) -> None:
    """Write a plain state dict as safetensors, as timm loads it."""
    with replacing(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary)
