"""Names make seeds: what a random draw is for decides it, never the order of drawing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def seed_of(*names: object) -> int:
    """A 63-bit seed from names such as (study, seed, arm, repetition, stage, epoch)."""
    text = "\x1f".join(map(str, names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_of(*names: object) -> torch.Generator:
    """A CPU generator seeded by names."""
    import torch  # here alone: the audit of a data set draws names and needs no torch

    return torch.Generator().manual_seed(seed_of(*names))


def draw_names(names: Sequence[str], count: int) -> np.ndarray:
    """The places of up to `count` names, in the order of a hash: the same draw everywhere.

    Args:
        names: Distinct names; their order is irrelevant to which are drawn.
        count: How many to draw.

    Returns:
        int64 (up to count,) places in `names`.
    """
    digests = [hashlib.sha256(name.encode(errors="surrogateescape")).digest() for name in names]
    order = sorted(range(len(names)), key=digests.__getitem__)
    return np.array(order[:count], dtype=np.int64)
