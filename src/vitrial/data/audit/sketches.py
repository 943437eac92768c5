"""What is kept in memory of every picture of a data set, to find the copies among them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from vitrial.data.audit.perceptual_hash import hashes, waves
from vitrial.data.audit.reduction import inner_boxes, reduce_within, whole_box
from vitrial.data.audit.resemblance import FEW, least_resemblance, shared_structure
from vitrial.data.audit.structure import COARSE, FINE, coarse_structure, fine_structure
from vitrial.events import counted

T = TypeVar("T")
READ = 64
"""Images read at once."""
SAMPLE = 512
"""Pictures that say what all have in common."""

Read = Callable[[np.ndarray], np.ndarray]
"""Images uint8 (rows, height, width, channels) by row."""


@dataclass(frozen=True)
class Sketches:
    """What is kept of n pictures in v views, about 1.1 KB per view.

    A view is a whole picture or, where there is a border of one color, what lies within it. Of a
    black background no one knows whether it is a border: both are looked at.

    Attributes:
        read: Reads the pictures' pixels.
        digest: (n,), of the pixels.
        shows: bool (n,), whether there is any structure: where not, a picture is blank.
        trimmed: int (n,), the view within a picture's border; -1 where there is none.
        row: int (v,), the picture of a view. The first n are the whole pictures.
        boxes: int (v, 4), the part of the picture that a view shows.
        structure: int8 (v, COARSE, COARSE).
        hashes: uint64 (POSES, v).
        shared_coarse: What the coarse structures have in common, see `shared_structure`.
        shared_fine: Likewise of the fine ones.
        least: Resemblance from which two of the pictures are copies.
    """

    read: Read
    digest: np.ndarray
    shows: np.ndarray
    trimmed: np.ndarray
    row: np.ndarray
    boxes: np.ndarray
    structure: np.ndarray
    hashes: np.ndarray
    shared_coarse: np.ndarray
    shared_fine: np.ndarray
    least: float


def sketch(read: Read, n: int) -> Sketches:
    """Read n pictures once and keep what it takes to find the copies among them."""
    chunks = np.array_split(np.arange(n), n // READ + 1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looks = pool.map(partial(_look, read), chunks)
        seen = list(counted(looks, "Sketching images", len(chunks)))
    digest, shows, row, boxes, structure = map(np.concatenate, zip(*seen, strict=True))
    # Whole pictures first, then the views within borders.
    is_whole = np.concatenate([np.arange(len(look[2])) < len(look[0]) for look in seen])
    order = np.argsort(~is_whole, kind="stable")
    row, boxes, structure = row[order], boxes[order], structure[order]
    trimmed = np.full(n, -1)
    trimmed[row[n:]] = np.arange(n, len(row))
    # Of equal pictures one is enough, and blank ones say nothing.
    distinct = np.zeros(n, dtype=bool)
    distinct[np.unique(digest, return_index=True)[1]] = True
    sample = np.flatnonzero((distinct & shows)[row])
    sample = sample[np.linspace(0, len(sample) - 1, min(SAMPLE, len(sample))).astype(np.int64)]
    common = np.zeros((8, 8))
    if len(sample) >= FEW:
        common = np.median(waves(structure[sample]), axis=0)
    starts = range(0, max(len(row), 1), READ)
    hashed = [hashes(structure[start : start + READ], common) for start in starts]
    fine = fine_views(read, row[sample], boxes[sample])
    shared = shared_structure(fine)
    return Sketches(
        read,
        digest,
        shows,
        trimmed,
        row,
        boxes,
        structure,
        np.concatenate(hashed, axis=1),
        shared_structure(structure[sample]),
        shared,
        least_resemblance(fine, shared, n),
    )


def fine_views(read: Read, rows: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The fine structure float32 (len(rows), FINE, FINE) of parts (len(rows), 4) of pictures."""
    found = np.empty((len(rows), FINE, FINE), np.float32)
    for start in range(0, len(rows), READ):
        chunk = slice(start, start + READ)
        found[chunk] = fine_structure(reduce_within(read(rows[chunk]), boxes[chunk], FINE))
    return found


def _look(read: Read, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Digest and whether there is structure, by picture; row, box and structure by view."""
    pixels = read(rows)
    digest = [hashlib.blake2b(image, digest_size=16).digest() for image in pixels]
    whole, inner = whole_box(*pixels.shape[1:3]), inner_boxes(pixels)
    bordered = np.flatnonzero((inner != whole).any(axis=1))
    boxes = np.concatenate([np.tile(whole, (len(rows), 1)), inner[bordered]])
    views = np.concatenate([np.arange(len(rows)), bordered])
    structure, shows = coarse_structure(reduce_within(pixels[views], boxes, COARSE))
    return (
        np.array(digest, "S16"),
        shows[: len(rows)],
        rows[views],
        boxes.astype(np.int16),
        structure,
    )
