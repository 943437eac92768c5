"""Changes of brightness, contrast, saturation and hue, as torchvision's `adjust_*` define them.

They change float32 (n, C, height, width) in [0, 1] in place, by factors (n, 1, 1, 1) or one for
all. Run one by one, an image gets the same bits everywhere: there is no fused multiply-add, and no
float sum in an order that may change.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _brightness_(images: Tensor, factor: Tensor) -> None:
    images.mul_(factor).clamp_(0, 1)


def _contrast_(images: Tensor, factor: Tensor) -> None:
    gray = to_gray(images)
    total = (gray * 2**23).int().sum((1, 2, 3), keepdim=True)  # integers: exact in any order
    _blend_(images, total.float() / (2**23 * gray[0].numel()), factor)


def _saturation_(images: Tensor, factor: Tensor) -> None:
    _blend_(images, to_gray(images), factor)


def _hue_(images: Tensor, turns: Tensor) -> None:
    """Turn the hue by -0.5 to 0.5 turns; saturation and value of the HSV model stay."""
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    value = torch.maximum(torch.maximum(red, green), blue)
    least = torch.minimum(torch.minimum(red, green), blue)
    chroma = value - least
    # The distance of the hue from red in sixths of a turn, by one formula for all six sextants: in
    # each, one channel is `value` and one is `least`. Its sign: towards green (+) or blue (-).
    sixths = (green - least).add_(blue - red).div_(chroma.clamp(min=1e-12)).add_(1)
    hue = sixths.copysign_(green - blue).div_(6).add_(turns)
    # A primary is full up to a sixth of a turn from its own hue and gone at two sixths.
    primaries = torch.arange(3, device=images.device).div(3).view(3, 1, 1)
    distance = hue - primaries
    lack = distance.sub_(distance.round()).abs_().mul_(6).sub_(1).clamp_(0, 1)
    torch.sub(value, lack.mul_(chroma), out=images)


def _blend_(images: Tensor, other: Tensor, factor: Tensor) -> None:
    images.mul_(factor).add_(other * (1 - factor)).clamp_(0, 1)


def to_gray(images: Tensor) -> Tensor:
    """Brightness (n, 1, height, width) of images (n, C, height, width)."""
    if images.shape[1] == 1:
        return images
    # Not `chunk`, which torch.compile takes for something else where the shape is not fixed.
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    return (red * 0.2989).add_(green * 0.587).add_(blue * 0.114)  # ITU-R BT.601


OPERATIONS = (_brightness_, _contrast_, _saturation_, _hue_)  # the columns of Views.factors
