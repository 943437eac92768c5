"""Images in a GPU's memory: all of a data set where they fit, else the next batch ahead of its use.

At 256 pixels an image takes 192 KiB, so a quarter of a 24 GB card holds 32,000 of them: all of
ISIC 2019. Then nothing is read or copied while a model trains.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitrial.data.cache import AT_ONCE, PixelCache

SHARE = 0.25
"""Of a GPU's free memory, what the images of a cache may take: the rest is for training."""


class PixelsOnDevice:
    """A pixel cache, all of whose images lie in a device's memory.

    Args:
        cache: The cache; every image is verified as it is read.
        device: Where the images go.

    Attributes:
        shape: (n, height, width, channels).
    """

    def __init__(self, cache: PixelCache, device: torch.device) -> None:
        self.shape, self.content_of = cache.shape, cache.content_of
        self.pixels = torch.empty(cache.shape, dtype=torch.uint8, device=device)
        for start in range(0, cache.shape[0], AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, cache.shape[0]))
            self.pixels[start : start + len(rows)] = torch.from_numpy(cache.read(rows))

    def read(self, rows: np.ndarray) -> torch.Tensor:
        """Images uint8 (len(rows), height, width, channels), in the order of `rows`."""
        index = torch.from_numpy(rows).to(self.pixels.device, non_blocking=True)
        return self.pixels.index_select(0, index)


@lru_cache(maxsize=4)
def pixels_on(cache: PixelCache | PixelsOnDevice, device: torch.device) -> PixelsOnDevice | None:
    """A cache's images in a GPU's memory, copied once in a process; None if they are too many."""
    if isinstance(cache, PixelsOnDevice):
        return cache
    free, _ = torch.cuda.mem_get_info(device)
    return PixelsOnDevice(cache, device) if math.prod(cache.shape) <= SHARE * free else None


def pinned(batch: Any) -> Any:
    """A batch, a tensor or a tuple of them, in memory that a GPU copies from by itself."""
    return _each(batch, Tensor.pin_memory)


def copied_ahead(batches: Iterable[Any], device: torch.device) -> Iterator[Any]:
    """Batches on a GPU, each copied while the one before is worked on.

    Args:
        batches: Tensors in pinned memory, or tuples of them.
        device: A GPU.
    """
    copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def copy(part: Tensor) -> Tensor:
        copied = part.to(device, non_blocking=True)
        copied.record_stream(torch.cuda.default_stream(device))  # where it will be used
        return copied

    waiting: Any = None
    for batch in batches:
        with torch.cuda.stream(copying):
            copied = _each(batch, copy)
        if waiting is not None:
            yield waiting
        torch.cuda.current_stream(device).wait_stream(copying)
        waiting = copied
    if waiting is not None:
        yield waiting


def _each(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    return change(batch) if isinstance(batch, Tensor) else tuple(map(change, batch))
