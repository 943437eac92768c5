"""Whether a map names the pixels that the answer rests on: deletion and insertion."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

STEPS = 10
"""Equal shares of the pixels that are taken one after the other."""


def deletion_insertion(
    model: Any,
    images: Tensor,
    heat: np.ndarray,
    target: np.ndarray,
    autocast: Callable[[], AbstractContextManager[object]],
    steps: int = STEPS,
) -> tuple[np.ndarray, np.ndarray]:
    """Areas under the class's probability as pixels go, or come (Petsiuk et al. 2018, sec. 3.2).

    Deletion paints the pixels of the highest values first with the mean color; insertion brings
    them first into a blurred image. A faithful map makes the first area small and the second large.

    Args:
        model: In evaluation mode.
        images: Normalized so that the mean color is zero: (n, channels, height, width).
        heat: float (n, height, width): the maps at the images' size.
        target: int (n,) the class whose probability is followed.
        autocast: Precision of the model.
        steps: Equal shares in which the pixels are taken.

    Returns:
        Deletion and insertion, float32 (n,) each, in [0, 1].
    """
    rank = torch.from_numpy(ranks(heat)).to(images.device)[:, None]
    pixels = rank[0].numel()
    classes = torch.from_numpy(target).to(images.device)[:, None]

    def probability(pictures: Tensor) -> np.ndarray:
        with torch.inference_mode(), autocast():
            logits = model(pictures)
        shares = logits.float().softmax(dim=1).expand(len(classes), -1)
        return np.asarray(shares.gather(1, classes)[:, 0].cpu())

    whole, blurred = images, blur(images)
    blank = torch.zeros_like(images[:1])  # the same for every image
    deleted, inserted = [probability(whole)], [probability(blurred)]
    for step in range(1, steps):
        taken = rank < round(pixels * step / steps)
        deleted.append(probability(torch.where(taken, blank, whole)))
        inserted.append(probability(torch.where(taken, whole, blurred)))
    deleted.append(probability(blank))
    inserted.append(deleted[0])
    return area(np.stack(deleted)), area(np.stack(inserted))


def ranks(heat: np.ndarray) -> np.ndarray:
    """The place of each pixel from the highest value to the lowest; of equal ones the first first.

    Args:
        heat: (n, height, width).

    Returns:
        int64 (n, height, width), each image a permutation of 0 ... height * width - 1.
    """
    flat = heat.reshape(len(heat), -1)
    order = np.argsort(-flat, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(flat.shape[1])[None], axis=1)
    return places.reshape(heat.shape)


def area(curve: np.ndarray) -> np.ndarray:
    """Area under curves (points, n) over equal steps from 0 to 1, by trapezoids: float32 (n,)."""
    return np.asarray(np.trapezoid(curve, dx=1 / (len(curve) - 1), axis=0), dtype=np.float32)


def blur(images: Tensor) -> Tensor:
    """Images without their details: a Gaussian of a twentieth of the side (11 of 224 pixels)."""
    sigma = images.shape[-1] / 20
    size = 2 * round(2 * sigma) + 1
    blurred: Tensor = gaussian_blur(images, [size, size], [sigma, sigma])
    return blurred
