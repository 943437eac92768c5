"""Applying a model to every image of a split, once and in order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torchvision.transforms.v2.functional import normalize

from vitrial.data.augment import central_batch
from vitrial.data.batches import CachedImages, evaluation_order, load


def predict(
    forward: Callable[[torch.Tensor], torch.Tensor],
    images: CachedImages,
    view: CentralView,
    autocast: Callable[[], AbstractContextManager[object]],
    batch_size: int,
    workers: int,
) -> np.ndarray:
    """Outputs float32 (n, outputs) of `forward` for the central view of each image, in order."""
    outputs = []
    with torch.inference_mode():
        for batch, _ in load(images, evaluation_order(len(images), batch_size), workers):
            with autocast():
                outputs.append(forward(view(batch)).float().cpu())
    return torch.cat(outputs).numpy()


class CentralView:
    """What a model sees in evaluation: the central crop, normalised.

    Args:
        crop: Side in pixels.
        mean: For each channel, in [0, 1].
        std: Likewise.
        device: Where the model lies.
    """

    def __init__(
        self, crop: int, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
    ) -> None:
        self.crop, self.mean, self.std, self.device = crop, list(mean), list(std), device

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Uint8 (n, height, width, channels) to float32 (n, channels, crop, crop)."""
        batch = central_batch(images.to(self.device, non_blocking=True), self.crop)
        normalised: torch.Tensor = normalize(batch, self.mean, self.std, inplace=True)
        return normalised


def logits_and_features(model: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """A timm model's logits (n, classes), and behind them its pooled features just before.

    Together (n, classes + features), for one pass gives both.
    """

    def forward(images: torch.Tensor) -> torch.Tensor:
        maps = model.forward_features(images)
        return torch.cat([model.forward_head(maps), model.forward_head(maps, pre_logits=True)], 1)

    return forward
