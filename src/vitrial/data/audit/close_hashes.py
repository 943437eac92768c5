"""Hashes that differ in few bits, found without comparing all of them with all others.

By the pigeonhole principle: cut 64 bits into chunks, allow each chunk i a number t_i of differing
bits, and let these numbers and one for each further chunk add up to the radius. Two hashes beyond
them in every chunk differ in more bits than the radius, so that any pair within it agrees up to t_i
bits in some chunk (Norouzi, Punjani and Fleet, Fast search in Hamming space with multi-index
hashing, CVPR 2012; thresholds of their own for chunks: Qin et al., GPH: similarity search in
Hamming space, ICDE 2018). A table of the hashes by each chunk's value then gives a few candidates,
which are compared in full: the pairs are those of the comparison of all with all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache, cached_property
from itertools import combinations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

CHUNKS, BITS = 4, 16
"""Chunks of a hash, and the bits of each: a table has 65,536 places, as many as queries at once."""


class Index:
    """Hashes by the values of their chunks.

    Args:
        hashes: uint64 (n,).
    """

    def __init__(self, hashes: np.ndarray) -> None:
        self.hashes = hashes

    @cached_property
    def window(self) -> int:
        """Hashes that are looked at at once: as many as nearly every value of a chunk has."""
        mean: float = len(self.hashes) / 2**BITS
        return math.ceil(mean + 2 * math.sqrt(mean)) + 1

    @cached_property
    def tables(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of each chunk: positions sorted by its value, their hashes, and where values begin.

        The last position is repeated, so that a window may begin anywhere.
        """
        tables = []
        for chunk in range(CHUNKS):
            values = _values(self.hashes, chunk)
            order = np.pad(np.argsort(values, kind="stable"), (0, self.window), mode="edge")
            begins = np.zeros(2**BITS + 1, np.int64)
            np.cumsum(np.bincount(values, minlength=2**BITS), out=begins[1:])
            tables.append((order, self.hashes[order], begins))
        return tables

    def close(self, queries: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of a query and a hash that differ in at most so many bits.

        Args:
            queries: uint64 (m,).
            radius: Bits.

        Returns:
            Positions (pairs,) in the queries and in the hashes, each pair once, in no order.
        """
        found = [np.empty(0, np.int64)]
        n = len(self.hashes)
        if n == 0:
            return found[0], found[0]
        for chunk, within in enumerate(thresholds(radius)):
            values = _values(queries, chunk)
            order = np.argsort(values, kind="stable")  # near values, near places in memory
            values, sorted_queries = values[order], queries[order]
            for mask in masks(within):
                for query, place in self._near(chunk, values ^ mask, sorted_queries, radius):
                    position = self.tables[chunk][0][place]
                    found.append(order[query] * n + position)
        pairs = np.unique(np.concatenate(found))  # most are found by several chunks
        return pairs // n, pairs % n

    def _near(
        self, chunk: int, values: np.ndarray, queries: np.ndarray, radius: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each query with the hashes of its value, a window of them at a time.

        What a window shows beyond them does no harm, for the comparison is in full.
        """
        _, hashes, begins = self.tables[chunk]
        windows = sliding_window_view(hashes, self.window)
        place, end = begins[values], begins[values.astype(np.int64) + 1]
        query = np.flatnonzero(place < end)
        place, end = place[query], end[query]
        while len(query):
            bits = np.bitwise_count(windows[place] ^ queries[query, None])
            near = np.flatnonzero(bits <= radius)
            if len(near):
                row, column = np.divmod(near, self.window)
                yield query[row], place[row] + column
            place += self.window
            left = np.flatnonzero(place < end)
            query, place, end = query[left], place[left], end[left]


def thresholds(radius: int) -> list[int]:
    """Differing bits that each chunk allows: together the radius less one for each further chunk.

    -1 allows nothing: the chunk need not be looked at.
    """
    allowed = radius - CHUNKS + 1
    return [allowed // CHUNKS + (chunk < allowed % CHUNKS) for chunk in range(CHUNKS)]


@cache
def masks(within: int) -> tuple[int, ...]:
    """Every change of a chunk in at most so many bits."""
    return tuple(_changes(within))


def _changes(within: int) -> Iterator[int]:
    for count in range(within + 1):
        for bits in combinations(range(BITS), count):
            yield sum(1 << bit for bit in bits)


def _values(hashes: np.ndarray, chunk: int) -> np.ndarray:
    """The value of a chunk of each hash."""
    return (hashes >> np.uint64(chunk * BITS)).astype(np.uint16)
