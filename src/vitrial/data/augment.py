"""Random views of a batch of images, on the device that trains.

The randomness of a whole batch is drawn first, on the CPU and from one generator, as numbers in
`Views`; applying them is deterministic. A view is therefore the same bits whatever the number of
threads, whatever else is in its batch, and after a resume.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from vitrial.data.colors import OPERATIONS
from vitrial.data.each_image import for_each_image
from vitrial.data.whole_batch import augment_whole
from vitrial.protocol import Augment, Jitter

TRIES = 10  # draws of a crop before the central one is taken, as in torchvision
NEUTRAL = torch.tensor([1.0, 1.0, 1.0, 0.0])  # factors that leave an image as it is
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Views:
    """The random parameters of n views, on the CPU.

    Attributes:
        crops: int64 (n, 4): top, left, height, width in pixels of the image.
        flips: bool (n, 2): flip vertically (upside down), flip horizontally.
        factors: float32 (n, 4): brightness, contrast, saturation (neutral: 1), hue in turns (0).
        order: int64 (n, 4): the columns of `factors` in the order of their application.
    """

    crops: Tensor
    flips: Tensor
    factors: Tensor
    order: Tensor

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, rows: slice) -> Views:
        return Views(*(each[rows] for each in self.drawn()))

    def drawn(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All of them: crops, flips, factors, order."""
        return self.crops, self.flips, self.factors, self.order

    @staticmethod
    def cat(parts: Sequence[Views]) -> Views:
        """Those of the parts, one after the other."""
        each = zip(*(part.drawn() for part in parts), strict=True)
        return Views(*map(torch.cat, each))


def draw_views(augment: Augment, n: int, side: int, generator: Generator) -> Views:
    """Draw the random parameters of n training views, independent of each other.

    Args:
        augment: What is random, and in which range.
        n: Number of views.
        side: Side of the square images in pixels.
        generator: A CPU generator, the only source of randomness.
    """
    chances = torch.tensor([augment.vflip, augment.hflip], dtype=torch.float64)
    factors, order = _draw_jitter(augment.jitter, n, generator)
    return Views(
        crops=draw_crops(n, side, augment.scale, augment.ratio, generator),
        flips=uniform(n, 2, generator) < chances,
        factors=factors,
        order=order,
    )


def draw_crops(n: int, side: int, scale: Bounds, ratio: Bounds, generator: Generator) -> Tensor:
    """Draw boxes as torchvision's RandomResizedCrop: the first of ten draws that fits.

    Args:
        n: Number of boxes.
        side: Side of the square images in pixels.
        scale: Range of the box's share of the image area, uniform.
        ratio: Range of width / height, log-uniform.
        generator: A CPU generator.

    Returns:
        int64 (n, 4): top, left, height, width; inside the image. Where no draw fits, the largest
        central box whose ratio lies in the range.
    """
    area = side**2 * uniform(n, TRIES, generator, *scale)
    aspect = uniform(n, TRIES, generator, math.log(ratio[0]), math.log(ratio[1])).exp()
    sizes = torch.stack([(area / aspect).sqrt(), (area * aspect).sqrt()], dim=2).round().long()
    fits = ((sizes > 0) & (sizes <= side)).all(dim=2)
    first = fits.int().argmax(dim=1)  # the first True of a row; 0 where there is none
    size = sizes[torch.arange(n), first]
    corner = (uniform(n, 2, generator) * (side - size + 1)).long()
    height, width = round(side / max(1, ratio[0])), round(side * min(1, ratio[1]))
    largest = torch.tensor([height, width]).clamp(min=1)
    central = torch.cat([(side - largest) // 2, largest])
    return torch.where(fits.any(dim=1, keepdim=True), torch.cat([corner, size], dim=1), central)


def _draw_jitter(jitter: Jitter | None, n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw `factors` and `order` of n views, as torchvision's ColorJitter."""
    if jitter is None:
        return NEUTRAL.expand(n, 4), torch.arange(4).expand(n, 4)
    reach = torch.tensor([jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue])
    factors = NEUTRAL + reach * uniform(n, 4, generator, -1, 1).float()
    jittered = uniform(n, 1, generator) < jitter.p
    order = uniform(n, 4, generator).argsort(dim=1)  # sorting noise permutes at random
    return torch.where(jittered, factors, NEUTRAL), order


def uniform(n: int, k: int, generator: Generator, low: float = 0, high: float = 1) -> Tensor:
    """Draws float64 (n, k), uniform between the bounds."""
    return low + (high - low) * torch.rand(n, k, dtype=torch.float64, generator=generator)


def augment_batch(images: Tensor, views: Views, crop: int) -> Tensor:
    """Apply one view to each image: crop and resize (antialiased), flip, jitter colors.

    Equals torchvision's `resized_crop`, flips and `adjust_*` on float images, in the drawn order.

    Args:
        images: uint8 (n, height, width, C) on any device, C = 3, or 1 (without saturation, hue).
        views: n views, drawn for this height and width.
        crop: Side of the output in pixels.

    Returns:
        float32 (n, C, crop, crop) in [0, 1], channels_last, on the images' device.

    Raises:
        ValueError: There are not as many views as images.
    """
    n, _, _, channels = images.shape
    if len(views) != n:
        raise ValueError(f"expected a view for each of {n} images, got {len(views)}")
    shape = (n, channels, crop, crop)
    out = torch.empty(shape, device=images.device, memory_format=torch.channels_last)
    if images.is_cuda:
        return out.copy_(augment_whole(images, *views.drawn(), crop))
    boxes, flips, order = views.crops.tolist(), views.flips.tolist(), views.order.tolist()

    def view(i: int) -> None:
        planes = _resized_crop(images[i], boxes[i], flips[i], crop)
        _jitter_(planes, views.factors[i], order[i])
        out[i] = planes[0]

    for_each_image(view, n)
    return out


def central_batch(images: Tensor, crop: int) -> Tensor:
    """The central crop of each image, for evaluation: nothing random, nothing resized.

    Args:
        images: uint8 (n, height, width, C) on any device.
        crop: Side of the output in pixels.

    Returns:
        float32 (n, C, crop, crop) in [0, 1], channels_last, on the images' device.

    Raises:
        ValueError: The crop is larger than the images.
    """
    _, height, width, _ = images.shape
    if crop > min(height, width):
        raise ValueError(f"a crop of {crop} pixels does not fit into images of {height} x {width}")
    top, left = round((height - crop) / 2), round((width - crop) / 2)
    central = images[:, top : top + crop, left : left + crop].permute(0, 3, 1, 2)
    return central.to(torch.float32, memory_format=torch.channels_last).div_(255)


def _resized_crop(image: Tensor, box: list[int], flip: list[bool], crop: int) -> Tensor:
    """Crop, flip and resize: float32 (1, C, crop, crop) in [0, 1], C contiguous planes."""
    top, left, height, width = box
    inside = image[top : top + height, left : left + width]
    inside = inside.flip([axis for axis in (0, 1) if flip[axis]]).permute(2, 0, 1)[None].float()
    planes = F.interpolate(inside, (crop, crop), mode="bilinear", antialias=True).contiguous()
    return planes.div_(255).clamp_(0, 1)  # rounding may carry white just beyond 1


def _jitter_(planes: Tensor, factors: Tensor, order: list[int]) -> None:
    """Apply the image's own operations in its own order, in place."""
    active = (factors != NEUTRAL).tolist()
    for k in order:
        if active[k] and (k < 2 or planes.shape[1] == 3):
            OPERATIONS[k](planes, factors[k])
