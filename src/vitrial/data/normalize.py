"""Normalization of images by the mean and standard deviation of each channel."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def normalize_(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Subtract the mean and divide by the standard deviation, in place.

    The bits are those of torchvision's `normalize`, which on a GPU waits for all that was launched
    before it: it looks whether a deviation is 0. Those of a data set never are
    (`vitrial.data.prepared.pixel_statistics`).

    Args:
        images: float32 (n, C, height, width) in [0, 1].
        mean: For each channel, in [0, 1].
        std: Likewise.

    Returns:
        The images.
    """
    center, scale = _on(images.device, mean, std)
    return images.sub_(center).div_(scale)


@lru_cache(maxsize=16)
def _on(device: torch.device, *channels: tuple[float, ...]) -> list[Tensor]:
    return [torch.tensor(each, device=device).view(-1, 1, 1) for each in channels]
