"""What self-supervision does to a view beyond the augmentation of training.

Grayscale, Gaussian blur and solarization, in this order and after the color jitter, as in BYOL
(Grill et al. 2020, appendix B) and DINO (Caron et al. 2021). As in `augment`, the randomness of a
whole batch is drawn first; applying it is deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from vitrial.data.augment import Bounds, uniform
from vitrial.data.colors import to_gray
from vitrial.data.each_image import for_each_image
from vitrial.data.whole_batch import distort_whole


@dataclass(frozen=True)
class Distortions:
    """The random parameters of n images, on the CPU.

    Attributes:
        gray: bool (n,): take the color away.
        sigma: float32 (n,): standard deviation of the blur in pixels, 0 for none.
        solarize: bool (n,): invert the bright half of the values.
    """

    gray: Tensor
    sigma: Tensor
    solarize: Tensor

    def __len__(self) -> int:
        return len(self.gray)

    def __getitem__(self, rows: slice) -> Distortions:
        return Distortions(*(each[rows] for each in self.drawn()))

    def drawn(self) -> tuple[Tensor, Tensor, Tensor]:
        """All of them: gray, sigma, solarize."""
        return self.gray, self.sigma, self.solarize

    @staticmethod
    def cat(parts: Sequence[Distortions]) -> Distortions:
        """Those of the parts, one after the other."""
        each = zip(*(part.drawn() for part in parts), strict=True)
        return Distortions(*map(torch.cat, each))


def draw_distortions(
    n: int, grayscale: float, blur: float, sigma: Bounds, solarize: float, generator: Generator
) -> Distortions:
    """Draw the distortions of n images, independent of each other.

    Each image takes four random numbers, so that no probability changes what the others give.

    Args:
        n: Number of images.
        grayscale: Probability of grayscale, 0 to 1.
        blur: Probability of blur, 0 to 1.
        sigma: Range of the blur's standard deviation in pixels, uniform.
        solarize: Probability of solarization, 0 to 1.
        generator: A CPU generator, the only source of randomness.
    """
    draws = uniform(n, 4, generator)
    chosen = draws[:, :3] < torch.tensor([grayscale, blur, solarize], dtype=torch.float64)
    sigmas = (sigma[0] + (sigma[1] - sigma[0]) * draws[:, 3]).float()
    return Distortions(chosen[:, 0], sigmas * chosen[:, 1], chosen[:, 2])


@torch.no_grad()
def distort_(images: Tensor, distortions: Distortions) -> Tensor:
    """Apply each image's own distortions in place; an image without any keeps its bits.

    Equals torchvision's `rgb_to_grayscale`, `gaussian_blur` (reaching 3 sigma, less where an image
    is too small to be reflected that far) and `solarize` at 0.5, on float images.

    Args:
        images: float32 (n, C, height, width) in [0, 1] on any device, C = 3, or 1 (then gray as
            it is), in any memory format.
        distortions: Those of n images.

    Returns:
        The images.

    Raises:
        ValueError: There are not as many distortions as images.
    """
    n = len(images)
    if len(distortions) != n:
        raise ValueError(f"expected distortions for each of {n} images, got {len(distortions)}")
    if images.is_cuda:
        return images.copy_(distort_whole(images, *distortions.drawn()))
    for_each_image(lambda i: _distort_(images[i : i + 1], distortions[i : i + 1]), n)
    return images


def _distort_(image: Tensor, distortion: Distortions) -> None:
    """Apply the distortions of one image, (1, C, height, width)."""
    if distortion.gray:
        _grayscale_(image)
    if distortion.sigma > 0:
        _blur_(image, distortion.sigma)
    if distortion.solarize:
        _solarize_(image)


# The operations change float32 (n, C, height, width) in [0, 1]. Contiguous planes are faster than
# interleaved channels, even with the copies there and back. An image gets the same bits everywhere:
# no fused multiply-add, no float sum in an order that may change.


def _grayscale_(images: Tensor) -> None:
    images.copy_(to_gray(images.contiguous()))


def _solarize_(images: Tensor) -> None:
    torch.minimum(images, 1 - images, out=images)  # 1 - x is the smaller one from 0.5 on


def _blur_(images: Tensor, sigma: Tensor) -> None:
    """Convolve columns, then rows, with each image's own Gaussian."""
    taps = _taps(sigma, most=min(images.shape[2:]) - 1)
    planes = _convolve(_convolve(images.contiguous(), taps, axis=2), taps, axis=3)
    images.copy_(planes.clamp_(0, 1))  # rounding may carry white just beyond 1


def _taps(sigma: Tensor, most: int) -> Tensor:
    """Weights of Gaussians that reach 3 sigma, `most` pixels at most, and sum to 1.

    Args:
        sigma: float32 (n,), above 0.
        most: The largest reach that the images permit.

    Returns:
        float32 (2 reach + 1, n, 1, 1, 1), with the largest reach of all; zero beyond their own.
    """
    sigma = sigma.double()
    reach = (3 * sigma).ceil().clamp(max=most)
    largest = int(reach.max())
    offset = torch.arange(-largest, largest + 1, dtype=torch.float64)[:, None]
    exponents = (offset / sigma).square().div(-2).masked_fill(offset.abs() > reach, -torch.inf)
    return exponents.softmax(0).float()[..., None, None, None]


def _convolve(images: Tensor, taps: Tensor, axis: int) -> Tensor:
    """Weighted sum of shifted images, mirrored at the border, one shift at a time."""
    reach, size = len(taps) // 2, images.shape[axis]
    border = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
    padded = F.pad(images, border, mode="reflect")
    out = images * taps[reach]
    for k in range(reach):
        pair = padded.narrow(axis, k, size) + padded.narrow(axis, 2 * reach - k, size)
        out.add_(pair.mul_(taps[k]))
    return out
