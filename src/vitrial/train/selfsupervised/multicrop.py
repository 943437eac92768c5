"""The random views of a batch, all made on the device from the pixels as they are cached.

DINO's multi-crop (after Caron et al., SwAV, NeurIPS 2020, sec. 3.3) needs no decoding of its own.
"""

from __future__ import annotations

from typing import Any

import torch

from vitrial.data.augment import Views, augment_batch, draw_views
from vitrial.data.distort import Distortions, distort_, draw_distortions
from vitrial.data.normalize import normalize_
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

    def draw(place: int, view: View) -> tuple[Views, Distortions]:
        generator = generator_of(*seed, place)
        own = augment.model_copy(update={**changes, "scale": view.scale})
        chances = (recipe.grayscale, view.blur, recipe.sigma, view.solarize)
        drawn = draw_views(own, n, side, generator)[share]
        return drawn, draw_distortions(n, *chances, generator)[share]

    crops: dict[int, torch.Tensor] = {}
    for size in dict.fromkeys(size for _, size in views):  # those of a size all at once
        places = [place for place, (_, own) in enumerate(views) if own == size]
        drawn, distortions = zip(*(draw(place, views[place][0]) for place in places), strict=True)
        images = augment_batch(pixels.repeat(len(places), 1, 1, 1), Views.cat(drawn), size)
        normalize_(distort_(images, Distortions.cat(distortions)), mean, std)
        crops |= dict(zip(places, images.chunk(len(places)), strict=True))
    return [crops[place] for place in range(len(views))]
