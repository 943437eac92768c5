"""Batches divided among the processes that train one model together, each on a device of its own.

Every process knows the whole batch and takes its share, so that one step is the same whatever the
number of processes, but for rounding. Alone, a process takes all.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from torch import distributed

from vitrial.errors import VitrialError

Item = TypeVar("Item")


def rank_and_size() -> tuple[int, int]:
    """Which of the processes this is, from 0, and how many there are."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def share_of(n: int) -> slice:
    """The images of a batch of n that this process takes.

    Raises:
        VitrialError: There are fewer than processes.
    """
    rank, size = rank_and_size()
    if n < size:
        raise VitrialError(
            f"A batch of {n} images cannot be divided among {size} devices: take fewer, or raise "
            "batch_size."
        )
    return slice(n * rank // size, n * (rank + 1) // size)


def balance(weights: np.ndarray) -> float:
    """What this process's mean loss is multiplied by, so that the mean over all is the batch's.

    Args:
        weights: (n,) of the images of the whole batch, as the mean takes them.
    """
    share = weights[share_of(len(weights))].sum() / weights.sum()
    return float(rank_and_size()[1] * share)


def mean_over_processes(value: torch.Tensor) -> torch.Tensor:
    """The mean of a tensor over all processes."""
    _, size = rank_and_size()
    if size == 1:
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / size


def every(items: list[Item]) -> list[Item]:
    """Of a list, the items that this process deals with: see `together`."""
    rank, size = rank_and_size()
    return items[rank::size]


def together(mine: list[Item], total: int) -> list[Item]:
    """What all processes made of the items that `every` gave them, in order.

    Args:
        mine: What this one made.
        total: How many items there were.
    """
    _, size = rank_and_size()
    if size == 1:
        return mine
    parts: list[Any] = [None] * size
    distributed.all_gather_object(parts, mine)
    return [parts[i % size][i // size] for i in range(total)]
