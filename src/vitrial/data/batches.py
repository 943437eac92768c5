"""Batches of uint8 images from the pixel cache, in an order that only seeds decide."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

from vitrial.data.cache import PixelCache
from vitrial.data.on_device import PixelsOnDevice, copied_ahead, pinned, pixels_on
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

    def __init__(
        self, cache: PixelCache | PixelsOnDevice, rows: np.ndarray, targets: np.ndarray
    ) -> None:
        self.cache, self.rows, self.targets = cache, rows, targets

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: np.ndarray) -> Batch:
        """Images uint8 (b, height, width, channels) and targets int64 (b,) at these positions."""
        images = self.cache.read(self.rows[positions])
        return torch.as_tensor(images), torch.from_numpy(self.targets[positions])

    def on(self, device: torch.device) -> CachedImages | None:
        """The same images in a GPU's memory; None if they are too many for it."""
        pixels = pixels_on(self.cache, device)
        return None if pixels is None else CachedImages(pixels, self.rows, self.targets)


class UnlabeledImages(Dataset[torch.Tensor]):
    """Images alone, of one pixel cache or several; an item is a whole batch, read at once.

    Args:
        parts: Caches of the same side and channels, each with (n,) rows of it.
    """

    def __init__(self, parts: Sequence[tuple[PixelCache | PixelsOnDevice, np.ndarray]]) -> None:
        self.parts = parts
        self.ends = np.cumsum([len(rows) for _, rows in parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def fingerprint(self) -> str:
        """Changes with any pixel, or the order of the images."""
        return digest([[cache.shape[1:], cache.content_of(rows)] for cache, rows in self.parts])

    def __getitem__(self, positions: np.ndarray) -> torch.Tensor:
        """Images uint8 (b, height, width, channels) at these positions."""
        of = np.searchsorted(self.ends, positions, side="right")
        by_part = [np.flatnonzero(of == i) for i in range(len(self.parts))]
        images = [
            torch.as_tensor(cache.read(rows[positions[mine] - end + len(rows)]))
            for (cache, rows), end, mine in zip(self.parts, self.ends, by_part, strict=True)
        ]
        return images[0] if len(images) == 1 else torch.cat(images)[np.argsort(np.hstack(by_part))]

    def on(self, device: torch.device) -> UnlabeledImages | None:
        """The same images in a GPU's memory; None if they are too many for it."""
        parts = [(pixels_on(cache, device), rows) for cache, rows in self.parts]
        there = [(pixels, rows) for pixels, rows in parts if pixels is not None]
        return UnlabeledImages(there) if len(there) == len(parts) else None


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


def load(
    images: CachedImages | UnlabeledImages,
    order: list[np.ndarray],
    workers: int,
    device: torch.device,
) -> Iterable[Any]:
    """Iterate over the batches.

    For a GPU they come from its own memory where the data set fits into it; else each is copied
    there while the one before is worked on. On a CPU they stay as they were read. `workers` threads
    read ahead, and change no bit.
    """
    # A draw that torch's DataLoader makes: what is dropped in training (dropout, paths) comes after
    # it in all stages of version 1.
    torch.empty((), dtype=torch.int64).random_()
    if device.type != "cuda":
        return read_ahead(images.__getitem__, order, workers)
    if (there := images.on(device)) is not None:
        return (there[positions] for positions in order)
    return copied_ahead(read_ahead(lambda at: pinned(images[at]), order, max(1, workers)), device)


def read_ahead(
    read: Callable[[np.ndarray], Item], order: list[np.ndarray], workers: int
) -> Iterator[Item]:
    """What `read` gives for each of `order`, read ahead by so many threads; 0 for none."""
    if workers == 0:
        yield from map(read, order)
        return
    with ThreadPoolExecutor(workers, "reading") as pool:
        coming: deque[Future[Item]] = deque()
        for positions in order:
            coming.append(pool.submit(read, positions))
            if len(coming) > workers:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
