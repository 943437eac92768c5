"""Batches of uint8 images from the pixel cache, in an order that only seeds decide."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from vitrial.data.cache import PixelCache
from vitrial.protocol import Recipe

Batch = tuple[torch.Tensor, torch.Tensor]


class CachedImages(Dataset[Batch]):
    """Images and labels of one split; an item is a whole batch, read at once.

    Args:
        cache: The pixel cache.
        rows: (n,) rows of the cache.
        targets: (n,) class indices.
    """

    def __init__(self, cache: PixelCache, rows: np.ndarray, targets: np.ndarray) -> None:
        self.cache, self.rows, self.targets = cache, rows, targets

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: np.ndarray) -> Batch:
        """Images uint8 (b, height, width, channels) and targets int64 (b,) at these positions."""
        images = self.cache.read(self.rows[positions])
        return torch.from_numpy(images), torch.from_numpy(self.targets[positions])


def training_order(
    targets: np.ndarray, recipe: Recipe, generator: torch.Generator
) -> list[np.ndarray]:
    """The positions of each batch of an epoch.

    Shuffled, every image once, in batches whose sizes differ by one at most, so that none is
    dropped and none is tiny; or, with `sampling: balanced`, as many draws with every class
    equally likely.
    """
    n = len(targets)
    if recipe.sampling == "balanced":
        weights = 1.0 / np.bincount(targets)[targets]
        order = torch.multinomial(torch.from_numpy(weights), n, True, generator=generator)
    else:
        order = torch.randperm(n, generator=generator)
    return np.array_split(order.numpy(), -(-n // recipe.batch_size))


def evaluation_order(n: int, batch_size: int) -> list[np.ndarray]:
    """The positions of each batch when every image counts exactly once, in order."""
    return np.split(np.arange(n), range(batch_size, n, batch_size))


def load(images: CachedImages, order: list[np.ndarray], workers: int) -> DataLoader[Batch]:
    """Iterate over the batches; `workers` processes read ahead, and change no bit."""
    return DataLoader(
        images,
        sampler=order,
        batch_size=None,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )
