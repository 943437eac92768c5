"""How a pixel cache lies on disk: shards of images, an index of them all, and what proves it."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from xxhash import xxh3_64_intdigest

from vitrial.atomic import write_json

COLUMNS = ("image", "sha256", "bytes", "width", "height", "mode")
CHECKSUM = "checksum"
"""A further column of an index: xxh3 of each image's pixels, uint64. It takes a seventh of crc32's
time (benchmarks/cache.py), so that every reading can be verified."""
PIXELS = "pixels.npy"
"""The file of a shard: a NumPy array, (n, height, width, channels)."""
INDEX, ABOUT = "index.parquet", "about.json"
"""The last files of a cache, in the order in which they are written; the latter proves the former
whole."""
LISTINGS = "listings"
"""The folder beside the caches of listings, which say which cache files lead to, and of locks."""
SHARD_BYTES = 2**28
"""Size of a shard: 1,365 color images of 256 x 256 pixels. A kill costs the decoding of one shard,
and processes that share the work take one shard each."""


def shard_size(shape: tuple[int, ...]) -> int:
    """How many images of a shape (height, width, channels) a shard is made of."""
    return max(1, SHARD_BYTES // math.prod(shape))


def shard_path(cache: Path, shard: int) -> Path:
    """The folder of a shard."""
    return cache / f"{shard:05d}"


def write_shard(path: Path, images: Iterable[np.ndarray], shape: tuple[int, ...]) -> list[int]:
    """Write the pixels of a shard, an image at a time.

    Nothing waits for the disk: what a power cut loses is noticed by its checksum, and made anew.

    Args:
        path: The file.
        images: uint8 arrays of `shape`.
        shape: (height, width, channels).

    Returns:
        The images' checksums.
    """
    checksums = []
    with path.open("wb") as file:
        # How many images can be used is known at the end; the header has room for any number.
        file.write(header_of((0, *shape)))
        for image in images:
            file.write(image.data)
            checksums.append(xxh3_64_intdigest(image.data))
        file.seek(0)
        file.write(header_of((len(checksums), *shape)))
    return checksums


def header_of(shape: tuple[int, ...]) -> bytes:
    """What stands before the pixels, in NumPy's format."""
    header = io.BytesIO()
    facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, facts)
    return header.getvalue()


@dataclass(frozen=True)
class Contents:
    """What a cache says of itself.

    Attributes:
        shape: (n, height, width, channels).
        shards: How many images each holds.
        index: Columns `COLUMNS` and `CHECKSUM`, one row per image, in the order of the shards.
    """

    shape: tuple[int, int, int, int]
    shards: list[int]
    index: pd.DataFrame


def seal(
    cache: Path,
    index: pd.DataFrame,
    shards: list[int],
    shape: tuple[int, ...],
    facts: dict[str, Any],
) -> None:
    """Write a cache's index, and what proves it whole, when all shards are there.

    Args:
        cache: The folder.
        index: See `Contents`.
        shards: Likewise.
        shape: (height, width, channels).
        facts: Of the data set, for whoever looks into the folder.
    """
    index.to_parquet(cache / INDEX)
    sha256 = hashlib.sha256((cache / INDEX).read_bytes()).hexdigest()
    shape = (len(index), *shape)
    write_json(cache / ABOUT, {**facts, "shape": shape, "shards": shards, "index": sha256})


def read_contents(cache: Path) -> Contents:
    """Read a cache's index.

    Raises:
        OSError, ValueError, KeyError, TypeError: It is not as `seal` writes it.
    """
    about = json.loads((cache / ABOUT).read_text(encoding="utf-8"))
    n, height, width, channels = about["shape"]
    content = (cache / INDEX).read_bytes()
    if hashlib.sha256(content).hexdigest() != about["index"]:
        raise ValueError("the index has changed")
    index = pd.read_parquet(io.BytesIO(content))
    if not len(index) == sum(about["shards"]) == n:
        raise ValueError("the shards are not those of the index")
    return Contents((n, height, width, channels), about["shards"], index)
