"""What is kept in memory of every picture of a data set, to find the copies among them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track

from vitrial.data.resemblance import (
    COARSE,
    FEW,
    FINE,
    POSES,
    coarse_structure,
    fine_structure,
    hashes,
    inner_boxes,
    least_resemblance,
    reduce_within,
    shared_structure,
    waves,
)

T = TypeVar("T")
READ = 64
"""Images read at once."""
SAMPLE = 512
"""Pictures that say what all have in common."""

Read = Callable[[np.ndarray], np.ndarray]
"""Images uint8 (rows, height, width, channels) by row."""


@dataclass(frozen=True)
class Sketches:
    """What is kept of n pictures, about 1.1 KB each.

    Attributes:
        read: Reads their pixels.
        digest: (n,), of the pixels.
        boxes: int (n, 4), what lies within a border of one color.
        structure: int8 (n, COARSE, COARSE).
        shows: bool (n,), whether there is any structure: where not, a picture is blank.
        hashes: uint64 (POSES, n).
        shared_coarse: What the pictures' coarse structures have in common, see `shared_structure`.
        shared_fine: Likewise of the fine ones.
        least: Resemblance from which two of the pictures are copies.
    """

    read: Read
    digest: np.ndarray
    boxes: np.ndarray
    structure: np.ndarray
    shows: np.ndarray
    hashes: np.ndarray
    shared_coarse: np.ndarray
    shared_fine: np.ndarray
    least: float

    def fine(self, rows: np.ndarray) -> np.ndarray:
        """The fine structure float32 (len(rows), FINE, FINE) of some pictures."""
        found = np.empty((len(rows), FINE, FINE), np.float32)
        for start in range(0, len(rows), READ):
            chunk = rows[start : start + READ]
            gray = reduce_within(self.read(chunk), self.boxes[chunk], FINE)
            found[start : start + READ] = fine_structure(gray)
        return found


def sketch(read: Read, n: int) -> Sketches:
    """Read n pictures once and keep what it takes to find the copies among them."""
    kept = Sketches(
        read,
        np.empty(n, "S16"),
        np.empty((n, 4), np.int16),
        np.empty((n, COARSE, COARSE), np.int8),
        np.empty(n, bool),
        np.empty((POSES, n), np.uint64),
        np.empty(0),
        np.empty(0),
        1.0,
    )

    def look(rows: np.ndarray) -> None:
        pixels = read(rows)
        kept.digest[rows] = [hashlib.blake2b(image, digest_size=16).digest() for image in pixels]
        kept.boxes[rows] = inner_boxes(pixels)
        gray = reduce_within(pixels, kept.boxes[rows], COARSE)
        kept.structure[rows], kept.shows[rows] = coarse_structure(gray)

    chunks = np.array_split(np.arange(n), n // READ + 1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in shown(pool.map(look, chunks), "Sketching images", len(chunks)):
            pass
    # Of equal pictures one is enough, and blank ones say nothing.
    rows = np.flatnonzero(kept.shows)
    rows = np.sort(rows[np.unique(kept.digest[rows], return_index=True)[1]])
    rows = rows[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(np.int64)]
    common = np.zeros((8, 8))
    if len(rows) >= FEW:
        common = np.median(waves(kept.structure[rows]), axis=0)
    for chunk in chunks:
        kept.hashes[:, chunk] = hashes(kept.structure[chunk], common)
    fine = kept.fine(rows)
    shared = shared_structure(fine)
    return replace(
        kept,
        shared_coarse=shared_structure(kept.structure[rows]),
        shared_fine=shared,
        least=least_resemblance(fine, shared, n),
    )


def shown(steps: Iterable[T], what: str, total: int) -> Iterable[T]:
    """The steps, with a progress bar where a person looks on."""
    console = Console(stderr=True)
    return track(steps, what, total, console=console, disable=not console.is_terminal)
