"""The views of a whole batch at once, as they are made on a GPU.

They are the views that `augment` and `distort` make image by image, to within rounding. There each
image stays in a core's cache; here few kernels do the work for all images, since launching hundreds
takes longer than a step of a small network. What is linear (cropping, flipping and resizing; blur)
is a product with two matrices per image; the rest is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from vitrial.data.colors import OPERATIONS, to_gray


def augment_whole(
    images: Tensor, crops: Tensor, flips: Tensor, factors: Tensor, order: Tensor, crop: int
) -> Tensor:
    """One view of each image: float32 (n, C, crop, crop) in [0, 1].

    Args:
        images: uint8 (n, height, width, C) on any device, C = 3, or 1 (without saturation, hue).
        crops: As in `augment.Views`, drawn for this height and width; so are the next three.
        flips: Likewise.
        factors: Likewise.
        order: Likewise.
        crop: Side of the output in pixels.
    """
    drawn = [each.to(images.device, non_blocking=True) for each in (crops, flips, factors, order)]
    return _compiled(_views, images.device.type)(images, *drawn, crop)


@cache
def _compiled(function: Callable[..., Tensor], device: str) -> Callable[..., Tensor]:
    """A function in few kernels, where it can be compiled; Triton is not on every machine."""
    compiles = device == "cuda" and find_spec("triton") is not None
    return torch.compile(function, dynamic=True) if compiles else function


def _views(
    images: Tensor, boxes: Tensor, flips: Tensor, factors: Tensor, order: Tensor, crop: int
) -> Tensor:
    """`augment_whole`, all of it on the device."""
    _, height, width, _ = images.shape
    top, left, tall, wide = boxes.unbind(1)
    rows = resampling(top, tall, flips[:, 0], height, crop)
    columns = resampling(left, wide, flips[:, 1], width, crop)
    planes = images.permute(0, 3, 1, 2).float()
    resized = rows[:, None] @ planes @ columns[:, None].mT
    return jittered(resized.div(255).clamp(0, 1), factors, order)


def resampling(start: Tensor, length: Tensor, flip: Tensor, side: int, crop: int) -> Tensor:
    """Matrices that cut a stretch out of an axis, flip it and resize it, antialiased.

    The weights are those of torch's `interpolate(mode="bilinear", antialias=True)`: a triangle
    around the place of each output pixel, as wide as the stretch is reduced, summing to 1.

    Args:
        start: int64 (n,), first pixel of the stretch.
        length: int64 (n,), its pixels.
        flip: bool (n,), whether it is reversed.
        side: Pixels of the axis.
        crop: Pixels after resizing.

    Returns:
        float32 (n, crop, side).
    """
    n, device = len(start), start.device
    start, length = start.double().view(n, 1, 1), length.double().view(n, 1, 1)
    output = torch.arange(crop, device=device, dtype=torch.float64).view(1, crop, 1)
    output = torch.where(flip.view(n, 1, 1), crop - 1 - output, output)
    scale = length / crop
    middle = start + scale * (output + 0.5)
    pixel = torch.arange(side, device=device, dtype=torch.float64)
    weight = (1 - (pixel + 0.5 - middle).abs() / scale.clamp(min=1)).clamp(min=0)
    weight = weight * ((pixel >= start) & (pixel < start + length))
    return (weight / weight.sum(2, keepdim=True)).float()


def jittered(images: Tensor, factors: Tensor, order: Tensor) -> Tensor:
    """Each image's color operations in its own order.

    Args:
        images: float32 (n, C, height, width) in [0, 1], C = 3, or 1 (without saturation, hue).
        factors: float32 (n, 4), as in `augment.Views`.
        order: int64 (n, 4), as in `augment.Views`.
    """
    operations = OPERATIONS if images.shape[1] == 3 else OPERATIONS[:2]
    for place in range(4):
        operation = order[:, place, None, None, None]
        changed = images
        for k, change in enumerate(operations):
            done = images.clone()
            change(done, factors[:, k, None, None, None])
            changed = torch.where(operation == k, done, changed)
        images = changed
    return images


def distort_whole(images: Tensor, gray: Tensor, sigma: Tensor, solarize: Tensor) -> Tensor:
    """Each image's own distortions: float32 (n, C, height, width) in [0, 1].

    Args:
        images: float32 (n, C, height, width) in [0, 1] on any device.
        gray: As in `distort.Distortions`; so are the other two.
        sigma: Likewise.
        solarize: Likewise.
    """
    drawn = [each.to(images.device, non_blocking=True) for each in (gray, sigma, solarize)]
    return _compiled(_distorted, images.device.type)(images, *drawn)


def _distorted(images: Tensor, gray: Tensor, sigma: Tensor, solarize: Tensor) -> Tensor:
    """`distort_whole`, all of it on the device."""
    height, width = images.shape[2:]
    images = torch.where(gray[:, None, None, None], to_gray(images), images)
    rows, columns = blurring(sigma, height, height, width), blurring(sigma, width, height, width)
    images = (rows[:, None] @ images @ columns[:, None].mT).clamp(0, 1)
    return torch.where(solarize[:, None, None, None], torch.minimum(images, 1 - images), images)


def blurring(sigma: Tensor, side: int, *sides: int) -> Tensor:
    """Matrices that convolve an axis, mirrored at its ends, with Gaussians reaching 3 sigma.

    Args:
        sigma: float32 (n,), standard deviations in pixels, 0 for none.
        side: Pixels of the axis.
        sides: Of both axes; the reach is smaller than either.

    Returns:
        float32 (n, side, side).
    """
    sigma = sigma.double().view(-1, 1, 1)
    reach = (3 * sigma).ceil().clamp(max=min(sides) - 1)

    def weight(offset: Tensor) -> Tensor:
        exponent = (offset / sigma.clamp(min=1e-6)).square().div(-2)
        return exponent.exp().masked_fill(offset.abs() > reach, 0)

    pixel = torch.arange(side, device=sigma.device, dtype=torch.float64)
    output, end = pixel[:, None], side - 1
    matrix = weight(pixel - output)
    matrix = matrix + weight(-pixel - output) * (pixel > 0)
    matrix = matrix + weight(2 * end - pixel - output) * (pixel < end)
    return (matrix / matrix.sum(2, keepdim=True)).float()
