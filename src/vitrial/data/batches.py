"""Batches of uint8 images from the pixel cache, in an order that only seeds decide."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from vitrial.data.cache import PixelCache
from vitrial.protocol import Recipe, digest

Batch = tuple[torch.Tensor, torch.Tensor]
Part = tuple[PixelCache, np.ndarray]
Item = TypeVar("Item")


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


class UnlabeledImages(Dataset[torch.Tensor]):
    """Images alone, of one pixel cache or several; an item is a whole batch, read at once.

    Args:
        parts: Caches of the same side and channels, each with (n,) rows of it.
    """

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self.ends = np.cumsum([len(rows) for _, rows in parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def fingerprint(self) -> str:
        """Changes with any pixel, or the order of the images."""
        return digest([[cache.shape[1:], cache.content_of(rows)] for cache, rows in self.parts])

    def __getitem__(self, positions: np.ndarray) -> torch.Tensor:
        """Images uint8 (b, height, width, channels) at these positions."""
        out = np.empty((len(positions), *self.parts[0][0].shape[1:]), dtype=np.uint8)
        of = np.searchsorted(self.ends, positions, side="right")
        for i, (cache, rows) in enumerate(self.parts):
            if (mine := of == i).any():
                out[mine] = cache.read(rows[positions[mine] - self.ends[i] + len(rows)])
        return torch.from_numpy(out)


def training_order(
    targets: np.ndarray, recipe: Recipe, generator: torch.Generator
) -> list[np.ndarray]:
    """The positions of each batch of an epoch.

    Every image once in a random order; or, with `sampling: balanced`, as many draws with every
    class equally likely.
    """
    n = len(targets)
    if recipe.sampling == "shuffle":
        return shuffled_order(n, recipe.batch_size, generator)
    weights = 1.0 / np.bincount(targets)[targets]
    order = torch.multinomial(torch.from_numpy(weights), n, True, generator=generator)
    return _batches(order, recipe.batch_size)


def shuffled_order(n: int, batch_size: int, generator: torch.Generator) -> list[np.ndarray]:
    """The positions of each batch when every image comes once, in a random order."""
    return _batches(torch.randperm(n, generator=generator), batch_size)


def _batches(order: torch.Tensor, batch_size: int) -> list[np.ndarray]:
    """Batches whose sizes differ by one at most, so that none is dropped and none is tiny."""
    return np.array_split(order.numpy(), -(-len(order) // batch_size))


def evaluation_order(n: int, batch_size: int) -> list[np.ndarray]:
    """The positions of each batch when every image counts exactly once, in order."""
    return np.split(np.arange(n), range(batch_size, n, batch_size))


def load(images: Dataset[Item], order: list[np.ndarray], workers: int) -> DataLoader[Item]:
    """Iterate over the batches; `workers` processes read ahead, and change no bit."""
    return DataLoader(
        images,
        sampler=order,
        batch_size=None,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )
