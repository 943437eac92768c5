"""Backbones: timm's, with a head for the task."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn


def build_backbone(name: str, classes: int, channels: int, crop: int, **options: Any) -> nn.Module:
    """Create timm's model, randomly initialised as timm does it.

    That is Kaiming's normal distribution (fan-out) for the convolutions of ResNets and their kin,
    a truncated normal of standard deviation 0.02 for ViTs, and for every other architecture what
    its authors chose. Pooling and head are the architecture's own too.

    Args:
        name: timm's name, perhaps with a pretrained tag.
        classes: Number of logits.
        channels: Input channels; timm adapts the stem.
        crop: Side of the input in pixels; models of fixed input size are built for it.
        options: Passed on to `timm.create_model`.
    """
    if pretrained_cfg(name).fixed_input_size:
        options["img_size"] = crop
    model: nn.Module = timm.create_model(name, num_classes=classes, in_chans=channels, **options)
    return model


def pretrained_cfg(name: str) -> Any:
    """What timm knows of a backbone and its pretrained weights: its `PretrainedCfg`."""
    return timm.models.get_pretrained_cfg(name)
