"""Pictures that a data set holds more than once, found in its pixel cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from vitrial.atomic import replacing
from vitrial.data.cache import PixelCache
from vitrial.data.resemblance import (
    ALIGNED,
    AS_THEY_LIE,
    COARSE,
    FINE,
    RADIUS,
    RESEMBLE,
    TURNS,
    align,
    coarse_structure,
    correlation,
    displaced,
    fine_structure,
    hashes,
    reduce,
    turned,
)

T = TypeVar("T")
METHOD = 1
"""Raised with every change of what is found: results of another method are not used."""
READ, VERIFIED = 64, 512
"""Images read at once; pairs compared at once."""
BLOCK = (256, 8192)
"""Hashes compared at once, each of some with each of others."""


def find_duplicates(cache: PixelCache) -> pd.DataFrame:
    """Find the pictures of a cache that are the same or nearly so, also turned or mirrored.

    Nearly the same is what was compressed again, resized, made brighter or darker, or cropped by
    up to 3 %: see `resemblance`. A picture of one colour is the same as another only if all their
    pixels are. What was found is kept in the cache's folder for the next time.

    Takes the time of one reading of the cache and of n^2 / 2 comparisons of 64 bits for each of 8
    turns; the memory of about 1.1 KB an image.

    Returns:
        A row an edge of a forest, whose trees are the pictures that are copies of each other:
        `first` and `second`, rows of the cache, `kind` (`pixels`: all are equal, or `near`) and
        `correlation` of the two (1 if all pixels are equal).
    """
    path = cache.path / f"duplicates-{METHOD}.parquet"
    with suppress(OSError, ValueError):
        return pd.read_parquet(path)
    sketches = _sketch(cache)
    same = _same_pixels(sketches.digest)
    # Of equal pictures one stands for all; a faint one resembles any other that is faint.
    rows = np.setdiff1d(np.flatnonzero(sketches.shows), same["second"])
    found = pd.concat([same, _near(cache, sketches, rows)], ignore_index=True)
    with suppress(OSError), replacing(path) as temporary:  # a cache may be read-only
        found.to_parquet(temporary)
    return found


@dataclass(frozen=True)
class _Sketches:
    """What is kept of n pictures.

    Attributes:
        digest: (n,), of the pixels.
        hashes: uint64 (TURNS, n).
        structure: int8 (n, COARSE, COARSE).
        shows: bool (n,), whether there is any structure.
    """

    digest: np.ndarray
    hashes: np.ndarray
    structure: np.ndarray
    shows: np.ndarray


def _sketch(cache: PixelCache) -> _Sketches:
    n = cache.shape[0]
    kept = _Sketches(
        np.empty(n, "S16"),
        np.empty((TURNS, n), np.uint64),
        np.empty((n, COARSE, COARSE), np.int8),
        np.empty(n, bool),
    )

    def sketch(rows: np.ndarray) -> None:
        pixels = cache.read(rows)
        kept.digest[rows] = [hashlib.blake2b(image, digest_size=16).digest() for image in pixels]
        gray = reduce(pixels, COARSE)
        kept.hashes[:, rows] = hashes(gray)
        kept.structure[rows], kept.shows[rows] = coarse_structure(gray)

    chunks = np.array_split(np.arange(n), n // READ + 1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in _shown(pool.map(sketch, chunks), "Sketching images", len(chunks)):
            pass
    return kept


def _same_pixels(digest: np.ndarray) -> pd.DataFrame:
    """An edge from the first of equal pictures to each of the others."""
    rows = pd.Series(np.arange(len(digest)))
    first = rows.groupby(digest).transform("first")
    again = rows[first != rows]
    return _edges(first[again.index].to_numpy(), again.to_numpy(), "pixels", np.ones(len(again)))


def _near(cache: PixelCache, sketches: _Sketches, rows: np.ndarray) -> pd.DataFrame:
    """Edges of a forest over the given rows of a cache."""
    tree = np.arange(len(sketches.shows))
    found = [_edges(tree[:0], tree[:0], "near", np.empty(0))]
    for first, second, turn in _alike(sketches.hashes[:, rows]):
        for start in range(0, len(first), VERIFIED):
            pairs = rows[np.stack([first[start:][:VERIFIED], second[start:][:VERIFIED]])]
            pairs = pairs[:, tree[pairs[0]] != tree[pairs[1]]]
            pairs, resemblance = _verified(cache, sketches.structure, pairs, turn)
            new = _join(tree, pairs)
            first_new, second_new = pairs[:, new]
            found.append(_edges(first_new, second_new, "near", resemblance[new]))
    return pd.concat(found, ignore_index=True)


def _alike(signs: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Pairs whose hashes (TURNS, n) are close: first (turned), second (as it is) and the turn."""
    n, (few, many) = signs.shape[1], BLOCK
    starts = range(0, n, few)
    for start in _shown(starts, "Comparing images", len(starts)):
        for turn in range(TURNS):
            some, found = signs[turn, start : start + few, None], []
            for other in range(start, n, many):
                bits = np.bitwise_count(some ^ signs[0, other : other + many])
                close = np.flatnonzero(bits <= RADIUS)
                found.append((close // bits.shape[1] + start, close % bits.shape[1] + other))
            first, second = np.concatenate(found, axis=1)
            yield first[first < second], second[first < second], turn


def _verified(
    cache: PixelCache, structure: np.ndarray, pairs: np.ndarray, turn: int
) -> tuple[np.ndarray, np.ndarray]:
    """Those of the pairs (2, n) that are nearly the same picture, and how far."""
    first, second = turned(structure[pairs[0]], turn), structure[pairs[1]]
    close = np.flatnonzero(correlation(first, second) >= AS_THEY_LIE)
    aligned, displacement = align(first[close], second[close])
    fits = aligned >= ALIGNED
    pairs, displacement = pairs[:, close[fits]], displacement[fits]
    fine = np.empty(pairs.shape[1], np.float32)
    for start in range(0, len(fine), READ):
        chunk = slice(start, start + READ)
        gray = [reduce(cache.read(rows), FINE) for rows in pairs[:, chunk]]
        # The displacement is in pixels of the coarse picture.
        moved = displaced(turned(gray[0], turn), displacement[chunk] * (FINE / COARSE))
        a, b = fine_structure(moved), fine_structure(gray[1])
        fine[chunk] = correlation(a, b, margin=FINE // 12)
    same = fine >= RESEMBLE
    return pairs[:, same], fine[same]


def _join(tree: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Join the trees, named by their first row, of each pair: whether (n,) they were two."""
    new = np.zeros(pairs.shape[1], bool)
    for k, (first, second) in enumerate(pairs.T):
        low, high = sorted((tree[first], tree[second]))
        new[k] = low < high
        if new[k]:
            tree[tree == high] = low
    return new


def _edges(first: np.ndarray, second: np.ndarray, kind: str, values: np.ndarray) -> pd.DataFrame:
    columns = {"first": first, "second": second, "kind": kind}
    return pd.DataFrame(columns | {"correlation": values.astype(np.float64)})


def _shown(steps: Iterable[T], what: str, total: int) -> Iterable[T]:
    console = Console(stderr=True)
    return track(steps, what, total, console=console, disable=not console.is_terminal)
