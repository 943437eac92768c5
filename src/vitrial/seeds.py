"""Names make seeds: what a random draw is for decides it, never the order of drawing."""

from __future__ import annotations

import hashlib

import torch


def seed_of(*names: object) -> int:
    """A 63-bit seed from names such as (study, seed, arm, repetition, stage, epoch)."""
    text = "\x1f".join(map(str, names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_of(*names: object) -> torch.Generator:
    """A CPU generator seeded by names."""
    return torch.Generator().manual_seed(seed_of(*names))
