"""Whether a backbone takes images of a size, found on torch's meta device, which computes nothing.

Names and documentation do not say it: some architectures need whole patches, some whole windows,
some a single size, and what does not fit is noticed in the forward pass alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from vitrial.errors import VitrialError
from vitrial.models.backbone import build_backbone, build_for_views, pretrained_cfg
from vitrial.protocol.selfsupervision import SelfSupervision

SIZE = "does not take images of this size"
"""The fault that another size fixes."""
STEPS = (8, 14, 32)
"""Sides of patches and windows, of whose multiples the sizes that fit are found among timm's."""


def takes(name: str, channels: int, size: int) -> bool:
    """Whether a backbone can be built for square images of this side, and gives an answer.

    Args:
        name: timm's name.
        channels: Input channels.
        size: Side in pixels.
    """
    return _fault(name, channels, size) is None


@cache
def _fault(name: str, channels: int, size: int) -> str | None:
    """What keeps a backbone from answering, as `vitrial.evaluate.predict` asks; None if nothing."""
    try:
        with torch.device("meta"), torch.inference_mode():
            model: Any = build_backbone(name, 2, channels, size).eval()
            maps = model.forward_features(torch.empty(2, channels, size, size))
            scores, features = (model.forward_head(maps, pre_logits=p).shape for p in (False, True))
    except Exception as error:  # whatever an architecture raises at what does not fit it
        return None if _is_of_meta(error) else SIZE
    if tuple(scores) == (2, 2) and len(features) == 2:
        return None
    shapes = f"{tuple(scores)} and {tuple(features)} for two images"
    return f"gives no class scores and features of an image (shapes {shapes})"


def sizes_taken(name: str, channels: int, size: int) -> list[int]:
    """The nearest sizes below and above one that a backbone does not take; perhaps none."""
    own = pretrained_cfg(name).input_size[-1]
    known = {size // step * step + step * further for step in STEPS for further in (-1, 0, 1, 2)}
    candidates = sorted(known | {own}, key=lambda other: abs(other - size))
    below = (other for other in candidates if 32 <= other < size and takes(name, channels, other))
    above = (other for other in candidates if other > size and takes(name, channels, other))
    found = (next(below, None), next(above, None))
    return [other for other in found if other is not None]


def refused_size(name: str, channels: int, size: int, key: str) -> str | None:
    """Why a backbone cannot be trained on images of this side, and what to change; None if it can.

    Args:
        name: timm's name.
        channels: Input channels.
        size: Side in pixels.
        key: What the user calls it.
    """
    fault = _fault(name, channels, size)
    if fault is None:
        return None
    if fault is not SIZE:
        return f"{name} {fault}: choose another backbone"
    others = " or ".join(map(str, sizes_taken(name, channels, size)))
    way_out = f"{others} would do" if others else "choose another backbone"
    return f"{name} takes no images of {key} {size} pixels: {way_out}"


def refused_views(name: str, channels: int, crop: int, recipe: SelfSupervision) -> str | None:
    """Why a backbone cannot be trained on a recipe's views, and what to change; None if it can.

    Args:
        name: timm's name.
        channels: Input channels.
        crop: Side of the large views in pixels.
        recipe: Small views and stochastic depth.
    """
    sizes = [crop]
    if recipe.small_views is not None:
        sizes.append(recipe.small_views[1])
    of_teacher, of_student = 0.0, recipe.drop_path
    return _refused(name, channels, tuple(sizes), of_teacher) or _refused(
        name, channels, tuple(sizes), of_student
    )


@cache
def _refused(name: str, channels: int, sizes: tuple[int, ...], drop_path: float) -> str | None:
    try:
        with torch.device("meta"):
            build_for_views(name, channels, sizes, drop_path)
    except VitrialError as error:
        return str(error).rstrip(".")
    except Exception as error:
        return None if _is_of_meta(error) else f"{name} cannot be built: {error}"
    return None


def _is_of_meta(error: Exception) -> bool:
    """Whether the meta device itself is to blame, which proves nothing of the backbone."""
    return isinstance(error, NotImplementedError) or "meta" in str(error)
