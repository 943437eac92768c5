"""Pictures that a data set holds more than once, found in its pixel cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

import numpy as np
import pandas as pd

from vitrial.atomic import replacing
from vitrial.data.audit.alignment import POSES, TURNS, align, displaced, move, posed, turned
from vitrial.data.audit.close_hashes import Index
from vitrial.data.audit.perceptual_hash import RADIUS
from vitrial.data.audit.resemblance import ALIGNED, AS_THEY_LIE, resemblance
from vitrial.data.audit.sketches import READ, Sketches, fine_views, sketch
from vitrial.data.audit.structure import COARSE, FINE
from vitrial.data.cache import PixelCache
from vitrial.events import counted

METHOD = 2
"""Raised with every change of what is found: results of another method are not used."""
CERTAIN = 0.5
"""How far beyond the least resemblance, of what is left to 1, copies of copies are one set."""
COMPARED = 512
"""Pairs whose coarse structure is compared at once."""
BLOCK = (256, 8192)
"""Hashes compared at once, each of some with each of others."""
INDEXED, QUERIES = 32_768, 16_384
"""From so many hashes on, an index is asked about so many at once: `benchmarks/million.py`."""


Start = TypeVar("Start", int, np.ndarray)


def find_duplicates(cache: PixelCache) -> pd.DataFrame:
    """Find the pictures of a cache that are the same or nearly so, also turned or mirrored.

    Nearly the same is what was compressed again, resized, made brighter or darker, cropped,
    turned by a few degrees, or given a border of one color: see `resemblance`, and docs/copies.md
    for how far. A blank picture is a copy of nothing. What was found is kept in the cache's folder
    for the next time.

    Takes the time of one reading of the cache and of 10 n^2 comparisons of 64 bits (22 n^2 where
    all pictures have a border), of which an index spares most where there are many pictures; the
    memory of about 1.1 KB per image.

    Returns:
        One row per edge of a forest, whose trees are the pictures that are copies of each other:
        `first` and `second`, rows of the cache, `kind` (`pixels`: all are equal, or `near`) and
        `correlation`, their resemblance (1 if all pixels are equal). Besides, one row per blank
        picture: itself as `first` and `second`, of the kind `blank`.
    """
    path = cache.path / f"duplicates-{METHOD}.parquet"
    with suppress(OSError, ValueError):
        return pd.read_parquet(path)
    sketches = sketch(cache.read, cache.shape[0])
    same = _same_pixels(sketches)
    blank = np.flatnonzero(~sketches.shows)
    # Of equal pictures one stands for all.
    rows = np.setdiff1d(np.flatnonzero(sketches.shows), same["second"])
    found = pd.concat(
        [same, _near(sketches, rows), edges(blank, blank, "blank", np.zeros(len(blank)))],
        ignore_index=True,
    )
    with suppress(OSError), replacing(path) as temporary:  # a cache may be read-only
        found.to_parquet(temporary)
    return found


def links(
    sketches: Sketches,
    some: np.ndarray,
    others: np.ndarray,
    is_open: Callable[[np.ndarray], np.ndarray],
    least: float | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of one of some rows and one of others that show nearly the same picture.

    Args:
        sketches: Of all pictures.
        some: Rows.
        others: The same rows, for the pairs among them, or rows that are all different.
        is_open: Of pairs (2, n), whether (n,) it is still worth knowing.
        least: Resemblance from which a pair counts; what makes a copy if left out.

    Yields:
        Pairs (2, n) of rows and their resemblance (n,).
    """
    least = sketches.least if least is None else least
    for views, other_views, poses in _families(sketches, some, others):
        hashes = sketches.hashes[:poses, views], sketches.hashes[0, other_views]
        for first, second, pose in _alike(*hashes, views is other_views):
            pairs = np.stack([views[first], other_views[second]])
            for start in range(0, pairs.shape[1], COMPARED):
                chunk = pairs[:, start:][:, :COMPARED]
                rows = sketches.row[chunk]
                chunk = chunk[:, (rows[0] != rows[1]) & is_open(rows)]
                verified, values = _verified(sketches, chunk, pose, least)
                yield sketches.row[verified], values


def _families(
    sketches: Sketches, some: np.ndarray, others: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Views of some rows, views of others to compare them with, and in how many poses.

    What lies within a border is compared as it is and turned, but not moved.
    """
    within = some is others
    views, other_views = (sketches.trimmed[rows] for rows in (some, others))
    views, other_views = views[views >= 0], other_views[other_views >= 0]
    yield some, others, POSES
    yield views, others, TURNS
    if not within:
        yield some, other_views, TURNS
    yield views, views if within else other_views, TURNS


def edges(first: np.ndarray, second: np.ndarray, kind: str, values: np.ndarray) -> pd.DataFrame:
    """A table of pairs of rows: see `find_duplicates`."""
    columns = {"first": first.astype(np.int64), "second": second.astype(np.int64)}
    kinds = np.full(len(first), kind, dtype=object)
    table = pd.DataFrame(columns | {"kind": kinds, "correlation": values.astype(np.float64)})
    return table.astype({"kind": "str"})


def _same_pixels(sketches: Sketches) -> pd.DataFrame:
    """An edge from the first of equal pictures to each of the others."""
    rows = np.flatnonzero(sketches.shows)
    first = pd.Series(rows).groupby(sketches.digest[rows]).transform("first").to_numpy()
    again = first != rows
    return edges(first[again], rows[again], "pixels", np.ones(again.sum()))


def _near(sketches: Sketches, rows: np.ndarray) -> pd.DataFrame:
    """Edges of a forest over the given rows."""
    tree = np.arange(len(sketches.shows))
    certainly = sketches.least + CERTAIN * (1 - sketches.least)
    found, weak = [edges(tree[:0], tree[:0], "near", np.empty(0))], []
    for pairs, values in links(sketches, rows, rows, lambda p: tree[p[0]] != tree[p[1]]):
        certain = values >= certainly
        weak.append((pairs[:, ~certain], values[~certain]))
        for pair, value in zip(pairs[:, certain].T, values[certain], strict=True):
            low, high = sorted(tree[pair])
            if low < high:
                tree[tree == high] = low
                found.append(edges(pair[:1], pair[1:], "near", np.array([value])))
    return pd.concat([*found, *_stars(tree, weak)], ignore_index=True)


def _stars(tree: np.ndarray, weak: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[pd.DataFrame]:
    """Edges that join trees, the closest first, each to one tree in the middle and no further.

    So less than certain resemblance never leads in a chain from one picture to an unlike one.
    """
    middle: dict[int, int] = {}
    pairs = [
        (value, *pair) for of, values in weak for value, *pair in zip(values, *of, strict=True)
    ]
    for value, first, second in sorted(pairs, key=lambda pair: -pair[0]):
        a, b = tree[first], tree[second]
        if b in middle:
            a, b = b, a
        if a != b and b not in middle and middle.setdefault(a, a) == a:
            middle[b] = a
            yield edges(np.array([first]), np.array([second]), "near", np.array([value]))


def _alike(
    some: np.ndarray, others: np.ndarray, within: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Pairs of close hashes: first, of some (poses, m), in a pose; second, of (n,); the pose.

    They come in one order, whichever way they are found.
    """
    few, _ = BLOCK
    find = _by_index if len(others) >= INDEXED else _all_with_all
    found = find(some, others, within)
    starts = range(0, some.shape[1], few)
    for _ in counted(starts, "Comparing images", len(starts)):
        for pose in range(len(some)):
            first, second = next(found)
            # A turn of one picture is a turn of the other; a crop of one is none of the other.
            halved = within and pose < TURNS
            new = (first < second if halved else first != second) if within else slice(None)
            yield first[new], second[new], pose


def _all_with_all(
    some: np.ndarray, others: np.ndarray, within: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each block of some and each pose the close pairs: every hash is compared with all."""
    few, many = BLOCK
    for start in range(0, some.shape[1], few):
        for pose, hashes in enumerate(some):
            block = hashes[start : start + few, None]
            found = [np.empty((2, 0), np.int64)]  # there may be no others
            for other in range(_begin(start, pose, within), len(others), many):
                bits = np.bitwise_count(block ^ others[other : other + many])
                close = np.flatnonzero(bits <= RADIUS)
                found.append(
                    np.stack([close // bits.shape[1] + start, close % bits.shape[1] + other])
                )
            first, second = np.concatenate(found, axis=1)
            yield first, second


def _by_index(
    some: np.ndarray, others: np.ndarray, within: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same pairs in the same order, by an index of the others: `close_hashes`."""
    few, many = BLOCK
    of_all = Index(others)
    for start in range(0, some.shape[1], QUERIES):
        sorted_pairs = []
        for pose, hashes in enumerate(some):
            begin = _begin(start, pose, within)
            index = Index(others[begin:]) if begin else of_all
            first, second = index.close(hashes[start : start + QUERIES], RADIUS)
            first, second = first + start, second + begin
            blocks = first // few
            part = (second - _begin(blocks * few, pose, within)) // many
            order = np.lexsort((second, first, part, blocks))
            sorted_pairs.append((first[order], second[order]))
        for block in range(start, min(start + QUERIES, some.shape[1]), few):
            for first, second in sorted_pairs:
                of_block = slice(*np.searchsorted(first, (block, block + few)))
                yield first[of_block], second[of_block]


def _begin(start: Start, pose: int, within: bool) -> Start:
    """The first of the others that a block is compared with: of a turn, no pair comes twice."""
    return start if within and pose < TURNS else start * 0


def _verified(
    sketches: Sketches, pairs: np.ndarray, pose: int, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """Those of the pairs (2, n) of views that are nearly the same picture, and how far."""
    structure = sketches.structure
    first, second = structure[pairs[0]], structure[pairs[1]]
    as_they_lie = resemblance(posed(first, pose), second, sketches.shared_coarse)
    close = np.flatnonzero(as_they_lie >= AS_THEY_LIE)
    first, second = turned(first[close], pose), second[close]
    aligned, displacement = align(first, second, move(pose, COARSE))
    fits = aligned >= ALIGNED
    pairs, displacement = pairs[:, close[fits]], displacement[fits]
    values = np.empty(pairs.shape[1], np.float32)
    for start in range(0, len(values), READ):
        chunk = slice(start, start + READ)
        a, b = (
            fine_views(sketches.read, sketches.row[views], sketches.boxes[views])
            for views in pairs[:, chunk]
        )
        a = turned(a, pose)
        # The displacement is in pixels of the coarse picture.
        start_from = displacement[chunk] * (FINE / COARSE)
        _, closer = align(a, b, start_from, steps=2, margin=FINE // 12)
        values[chunk] = resemblance(displaced(a, closer), b, sketches.shared_fine)
    same = values >= least
    return pairs[:, same], values[same]
