"""Applying a model to every image of a split, once and in order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from vitrial.data.augment import central_batch
from vitrial.data.batches import CachedImages, evaluation_order, load
from vitrial.data.normalize import normalize_
from vitrial.data.shares import every, together


def predict(
    model: Any,
    images: CachedImages,
    view: CentralView,
    autocast: Callable[[], AbstractContextManager[object]],
    batch_size: int,
    workers: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Logits and features of the central view of each image, in order.

    Processes that train together divide the batches, and each has the whole in the end.

    Pooling and head work in float32 whatever the precision of the rest, for scores that decide
    must not be rounded to the 8 bits of a bfloat16.

    Args:
        model: timm's, in evaluation mode.
        images: What to predict.
        view: From pixels to the model's input.
        autocast: Precision of the backbone.
        batch_size: Images at a time in training; a GPU, which keeps nothing here for gradients,
            predicts four times as many at once.
        workers: Threads that read batches ahead.

    Returns:
        float32 (n, classes), and the pooled features just before the head, float32 (n, features).
    """
    order = evaluation_order(len(images), batch_size * (4 if view.device.type == "cuda" else 1))
    batches = load(images, every(order), workers, view.device)
    mine = [outputs(model, batch, view, autocast) for batch, _ in batches]
    parts = [(logits.cpu(), features.cpu()) for logits, features in mine]
    logits, features = zip(*together(parts, len(order)), strict=True)
    return torch.cat(logits).numpy(), torch.cat(features).numpy()


def outputs(
    model: Any,
    pixels: torch.Tensor,
    view: CentralView,
    autocast: Callable[[], AbstractContextManager[object]],
) -> tuple[torch.Tensor, torch.Tensor]:
    """What `predict` gives of one batch, uint8 (n, height, width, channels), on the device."""
    with torch.inference_mode():
        with autocast():
            maps = model.forward_features(view(pixels))
        maps = in_float32(maps)
        return model.forward_head(maps), model.forward_head(maps, pre_logits=True)


def in_float32(maps: Any) -> Any:
    """What a backbone gives to its head, in float32.

    That is a tensor, or where it has several branches (CrossViT, CoaT) a list or tuple of them.
    """
    if isinstance(maps, list | tuple):
        return type(maps)(in_float32(part) for part in maps)
    return maps.float()


class CentralView:
    """What a model sees in evaluation: the central crop, normalized.

    Args:
        crop: Side in pixels.
        mean: For each channel, in [0, 1].
        std: Likewise.
        device: Where the model lies.
    """

    def __init__(
        self, crop: int, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
    ) -> None:
        self.crop, self.mean, self.std, self.device = crop, tuple(mean), tuple(std), device

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Uint8 (n, height, width, channels) to float32 (n, channels, crop, crop)."""
        batch = central_batch(images.to(self.device, non_blocking=True), self.crop)
        return normalize_(batch, self.mean, self.std)
