"""Measurements of cached images that need no look at what they show."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from vitrial.data.cache import PixelCache
from vitrial.data.io.files import suffix_of
from vitrial.events import counted

CHUNK = 64
"""Images that are in memory at once."""
SIDES = {
    "top": np.s_[:, :1],
    "bottom": np.s_[:, -1:],
    "left": np.s_[:, :, :1],
    "right": np.s_[:, :, -1:],
}
# Modes of Pillow's that do not have 8 bits a channel.
BITS = {"1": 1, "I;16": 16, "I;16B": 16, "I;16L": 16, "I": 32, "F": 32}


def measure(cache: PixelCache, has_files: bool = True) -> pd.DataFrame:
    """Measure every image of a cache; memory does not grow with their number but by the table's.

    Args:
        cache: The images.
        has_files: Whether they are files of the user's.

    Returns:
        A row per image, in the cache's order: `image`, `sha256`, `width`, `height`, `aspect`
        (width / height) and `bits` a channel. Of files, `bytes`, `mode` and `suffix`. Of the cached
        pixels, in 0 to 255: `spread` (standard deviation of all), `mean_0` and `std_0` for each
        channel, and for each side `border_top_mean_0` for each channel and `border_top_std`.
    """
    index = cache.index
    table = index.assign(
        row=np.arange(len(index)),
        aspect=index["width"] / index["height"],
        bits=index["mode"].map(_bits).astype(np.int64),
    )
    if has_files:
        table["suffix"] = index["image"].map(suffix_of)
    else:
        table = table.drop(columns=["bytes", "mode"])
    chunks = np.array_split(np.arange(len(index)), len(index) // CHUNK + 1)
    measured = [_measure(cache.read(rows)) for rows in counted(chunks, "Measuring", len(chunks))]
    return table.join(pd.concat(measured, ignore_index=True))


def _bits(mode: str) -> int:
    """Bits a channel of a file's mode, as `decode` names it."""
    depth = re.search(r"(\d+) bit$", mode)
    return int(depth[1]) if depth else BITS.get(mode, 8)


def _measure(pixels: np.ndarray) -> pd.DataFrame:
    """Measurements of the pixels of uint8 images (n, height, width, channels)."""
    channels = range(pixels.shape[-1])
    mean, std = _moments(pixels)
    columns = {f"mean_{c}": mean[:, c] for c in channels}
    columns |= {f"std_{c}": std[:, c] for c in channels}
    # The variance of all values is that within the channels and that between their means.
    columns["spread"] = np.sqrt((std**2).mean(axis=1) + mean.var(axis=1))
    for side, where in SIDES.items():
        mean, std = _moments(pixels[where])
        columns |= {f"border_{side}_mean_{c}": mean[:, c] for c in channels}
        columns[f"border_{side}_std"] = std.mean(axis=1)
    return pd.DataFrame(columns)


def _moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (n, channels) of uint8 pixels (n, height, width, channels)."""
    n, height, width, channels = pixels.shape
    sums, squares = np.empty((2, n, channels))
    for c in range(channels):  # one channel at a time is several times as fast
        rows = pixels[..., c].astype(np.float32).reshape(n * height, width)
        # Rows are summed exactly in single precision, and their sums in double.
        sums[:, c] = rows.sum(axis=1).reshape(n, height).sum(axis=1, dtype=np.float64)
        row_squares = np.einsum("ij,ij->i", rows, rows)
        squares[:, c] = row_squares.reshape(n, height).sum(axis=1, dtype=np.float64)
    mean = sums / (height * width)
    return mean, np.sqrt(np.maximum(squares / (height * width) - mean**2, 0))
