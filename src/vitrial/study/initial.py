"""What a stage starts from: its model's weights, and how its input is normalized."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from vitrial.errors import VitrialError
from vitrial.models.backbone import build_backbone
from vitrial.models.initialization import load_trained, load_weights, weights_file
from vitrial.protocol import Arm
from vitrial.seeds import seed_of

Channels = tuple[float, ...]


def initial_model(
    arm: Arm, classes: int, channels: int, crop: int, seed: int, start: Path | None = None
) -> nn.Module:
    """The arm's backbone with the weights that its initialization says.

    A stage that was interrupted starts here too; training then puts its checkpoint on top.

    Args:
        arm: Backbone and initialization.
        classes: Number of logits, 0 for a backbone without a head.
        channels: Input channels.
        crop: Side of the input in pixels.
        seed: The stage's.
        start: Weights of the stage that this one starts from.

    Raises:
        VitrialError: The weights cannot be had.
    """
    # Seeds keep the spelling of version 0.1: another word would draw other weights.
    torch.manual_seed(seed_of(seed, "initialisation"))
    if start is not None:
        model = load_trained(build_backbone(arm.model, classes, channels, crop), start)
        return _refuse_not_finite(model, start)
    if weights := weights_file(arm):
        model = load_weights(arm.model, weights, classes, channels, crop)
        return _refuse_not_finite(model, weights)
    return build_backbone(arm.model, classes, channels, crop)


def _refuse_not_finite(model: nn.Module, weights: Path) -> nn.Module:
    for name, value in model.state_dict().items():
        if not torch.isfinite(value).all():
            raise VitrialError(
                f"{weights} holds weights that are not finite, in {name}: name another file, or "
                "create it again."
            )
    return model


def normalization(
    kind: Literal["data", "backbone"], model: nn.Module, mean: Channels, std: Channels
) -> tuple[Channels, Channels]:
    """Mean and standard deviation of each channel: the data's, as given, or the backbone's."""
    if kind == "data":
        return mean, std
    cfg: Any = model.pretrained_cfg
    if len(mean) == 1:
        return (float(np.mean(cfg["mean"])),), (float(np.mean(cfg["std"])),)
    return tuple(cfg["mean"]), tuple(cfg["std"])
