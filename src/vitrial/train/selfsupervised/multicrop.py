"""The random views of a batch, all made on the device from the pixels as they are cached.

DINO's multi-crop (after Caron et al., SwAV, NeurIPS 2020, sec. 3.3) needs no decoding of its own.
"""

from __future__ import annotations

from typing import Any

import torch
from torchvision.transforms.v2.functional import normalize

from vitrial.data.augment import augment_batch, draw_views
from vitrial.data.distort import distort_, draw_distortions
from vitrial.data.shares import share_of
from vitrial.protocol import Augment, SelfSupervision, View
from vitrial.seeds import generator_of


def multicrop(
    pixels: torch.Tensor,
    views: list[tuple[View, int]],
    recipe: SelfSupervision,
    augment: Augment,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *seed: object,
    whole: int | None = None,
) -> list[torch.Tensor]:
    """Every view of every image, each drawn independently.

    Args:
        pixels: uint8 (n, height, width, channels), on the device.
        views: How each view is drawn, and its side in pixels.
        recipe: Color jitter, grayscale and blur, and perhaps flips.
        augment: Aspect ratios, and the flips that the recipe leaves open.
        mean: Normalization of each channel, in [0, 1].
        std: Likewise.
        seed: Names that decide the draws, apart from the view's place in the list.
        whole: Images of the batch of which these are this process's share; left out, they are all.

    Returns:
        For each view float32 (n, channels, size, size), channels_last, on the pixels' device.
    """
    n, side = len(pixels) if whole is None else whole, pixels.shape[1]
    share = share_of(n)
    flips = {"hflip": recipe.hflip, "vflip": recipe.vflip}
    changes: dict[str, Any] = {name: p for name, p in flips.items() if p is not None}
    changes["jitter"] = recipe.jitter
    crops = []
    for place, (view, size) in enumerate(views):
        generator = generator_of(*seed, place)
        own = augment.model_copy(update={**changes, "scale": view.scale})
        drawn = draw_views(own, n, side, generator)[share]
        distortions = draw_distortions(
            n, recipe.grayscale, view.blur, recipe.sigma, view.solarize, generator
        )
        images = distort_(augment_batch(pixels, drawn, size), distortions[share])
        crops.append(normalize(images, list(mean), list(std), inplace=True))
    return crops
