"""What a stage starts from: its model's weights, and how its input is normalised."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from vitrial.data.prepared import Prepared
from vitrial.models.backbone import build_backbone
from vitrial.models.initialisation import load_trained, load_weights, weights_file
from vitrial.protocol import Protocol
from vitrial.seeds import seed_of
from vitrial.study.plan import Stage
from vitrial.train.checkpoint import WEIGHTS


def initial_model(stage: Stage, protocol: Protocol, classes: int, root: Path) -> nn.Module:
    """The arm's backbone with the weights that its initialisation says.

    A stage that was interrupted starts here too; training then puts its checkpoint on top.

    Args:
        stage: The stage.
        protocol: Channels and crop.
        classes: Number of logits, 0 for a backbone without a head.
        root: The study's folder, with the stages that this one starts from.

    Raises:
        VitrialError: Its weights cannot be had.
    """
    torch.manual_seed(seed_of(stage.seed, "initialisation"))
    shape = (classes, protocol.image.channels, protocol.augment.crop)
    if stage.start is not None:
        model = build_backbone(stage.arm.model, *shape)
        return load_trained(model, root / stage.start.folder / WEIGHTS)
    if weights := weights_file(stage.arm):
        return load_weights(stage.arm.model, weights, *shape)
    return build_backbone(stage.arm.model, *shape)


def normalisation(
    kind: Literal["data", "backbone"], model: nn.Module, data: Prepared
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, of the training split or the backbone."""
    if kind == "data":
        return data.mean, data.std
    cfg: Any = model.pretrained_cfg
    if len(data.mean) == 1:
        return (float(np.mean(cfg["mean"])),), (float(np.mean(cfg["std"])),)
    return tuple(cfg["mean"]), tuple(cfg["std"])
