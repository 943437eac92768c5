"""Backbones: timm's, with a head for the task or without one."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import timm
import torch
from torch import nn

from vitrial.errors import VitrialError


def build_backbone(name: str, classes: int, channels: int, crop: int, **options: Any) -> nn.Module:
    """Create timm's model, randomly initialized as timm does it.

    That is Kaiming's normal distribution (fan-out) for the convolutions of ResNets and their kin,
    a truncated normal of standard deviation 0.02 for ViTs, and for every other architecture what
    its authors chose. Pooling and head are the architecture's own too.

    Args:
        name: timm's name, perhaps with a pretrained tag.
        classes: Number of logits; 0 gives a model without a head, whose output are its features.
        channels: Input channels; timm adapts the stem.
        crop: Side of the input in pixels; models of fixed input size are built for it.
        options: Passed on to `timm.create_model`.
    """
    if pretrained_cfg(name).fixed_input_size:
        options["img_size"] = crop
    model: nn.Module = timm.create_model(name, num_classes=classes, in_chans=channels, **options)
    return model


def build_for_views(
    name: str, channels: int, sizes: tuple[int, ...], drop_path: float = 0.0
) -> nn.Module:
    """Create a backbone without a head for views of several sizes.

    A ViT interpolates its position embedding to each size (DINO, sec. 3.2).

    Args:
        name: timm's name.
        channels: Input channels.
        sizes: Sides of the views in pixels; the first is the one that the weights are for.
        drop_path: Rate of stochastic depth.

    Raises:
        VitrialError: The architecture has no stochastic depth, or is tied to one size.
    """
    options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
    # Some models of fixed size take others if told so, some (XCiT) in any case, others never.
    tied = pretrained_cfg(name).fixed_input_size and len(set(sizes)) > 1
    attempts = [options | {"dynamic_img_size": True}, options] if tied else [options]
    model = None
    for attempt in attempts:
        with suppress(TypeError):  # an option that the architecture does not know
            model = build_backbone(name, 0, channels, sizes[0], **attempt)
            break
    if model is None:
        raise VitrialError(f"{name} has no stochastic depth: set drop_path to 0.")
    for size in sizes:
        try:
            feature_dim(model, size, channels)
        except (AssertionError, RuntimeError, ValueError) as error:
            raise VitrialError(
                f"{name} cannot take views of {size} pixels beside {sizes[0]}: leave "
                "out the small ones (dino.local_views.count: 0), or choose another backbone."
            ) from error
    return model


def feature_dim(model: nn.Module, size: int, channels: int) -> int:
    """Number of features that a model without a head gives for an image of this side."""
    training = model.training
    with torch.inference_mode():
        features = model.eval()(torch.zeros(1, channels, size, size))
    model.train(training)
    return int(features.shape[1])


def pretrained_cfg(name: str) -> Any:
    """What timm knows of a backbone and its pretrained weights: its `PretrainedCfg`."""
    return timm.models.get_pretrained_cfg(name)
