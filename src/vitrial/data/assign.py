"""Dealing whole groups out to parts so that the parts are alike in everything that is counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def assign_groups(
    labels: np.ndarray,
    groups: np.ndarray,
    fractions: np.ndarray,
    seed: int,
    columns: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Divide images into parts so that groups stay whole and the parts are alike.

    Of every part are counted its images, its groups, and its images of each label, of each level
    of `columns`, and in groups of each size (1, 2, 3 to 4, 5 to 8, ...). Every part first gets a
    group of each label that has enough groups. Then the other groups, large ones first and groups
    of one size in random order, go where the sum of (count - share)^2 / share over all counts
    grows least. That is minimization, as trials assign patients to arms (Pocock and Simon,
    Biometrics 1975). `benchmarks/splits.py` compares it with other rules.

    Args:
        labels: (n,) labels.
        groups: (n,) group names.
        fractions: (parts,) shares, adding up to 1.
        seed: Of the random order.
        columns: Each (n,) levels of a column.

    Returns:
        int (n,) index of the part that each image belongs to.
    """
    group, names = pd.factorize(groups, sort=True)
    size = np.bincount(group)
    # A level of fewer groups cannot have its share of the smallest part.
    few = int(np.ceil(1 / fractions.min()))
    levels = [labels, _size_bands(size, few)[group], *(_pooled(c, group, few) for c in columns)]
    counts, totals = _counts(group, levels)
    order = np.random.default_rng(seed).permutation(len(names))
    reserved = _one_of_each_label(labels, group, size, order, fractions)
    order = order[np.argsort(-size[order], kind="stable")]
    return np.array(_minimize(order.tolist(), counts, totals, fractions, reserved))[group]


def _minimize(
    order: list[int],
    counts: list[list[tuple[int, int]]],
    totals: np.ndarray,
    fractions: np.ndarray,
    reserved: dict[int, int],
) -> list[int]:
    """The part of each group, when each goes in turn to where the distance grows least.

    In plain Python, a few microseconds a group: the sums are short, and in their written order
    they round alike on every machine, so that a tie is decided alike.
    """
    price = (1 / np.outer(fractions, totals)).tolist()
    # Adding k to a count x changes (x - share)^2 / share by k (slope + k price).
    slope = [[-2.0] * len(totals) for _ in fractions]
    part = [-1] * len(order)

    def give(g: int, p: int) -> None:
        part[g] = p
        for feature, k in counts[g]:
            slope[p][feature] += 2 * k * price[p][feature]

    def growth(g: int, p: int) -> float:
        total, slopes, prices = 0.0, slope[p], price[p]
        for feature, k in counts[g]:
            total += k * (slopes[feature] + k * prices[feature])
        return total

    for g, p in reserved.items():
        give(g, p)
    parts = range(len(fractions))
    for g in order:
        if part[g] < 0:
            growths = [growth(g, p) for p in parts]
            give(g, growths.index(min(growths)))
    return part


def _counts(
    group: np.ndarray, levels: Sequence[np.ndarray]
) -> tuple[list[list[tuple[int, int]]], np.ndarray]:
    """What is counted of each group, as pairs of a feature and its count; and the totals.

    The features are: groups, images, then images of each level.
    """
    n = int(group.max()) + 1
    features, width = [np.ones_like(group)], 2
    for values in levels:
        code = pd.factorize(values, sort=True)[0]
        features.append(code + width)
        width += int(code.max()) + 1
    keys = [np.arange(n) * width, *(group * width + feature for feature in features)]
    key, count = np.unique(np.concatenate(keys), return_counts=True)
    pairs = list(zip((key % width).tolist(), count.tolist(), strict=True))
    ends = np.searchsorted(key, np.arange(1, n + 1) * width).tolist()
    counts = [pairs[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return counts, np.bincount(key % width, count)


def _one_of_each_label(
    labels: np.ndarray,
    group: np.ndarray,
    size: np.ndarray,
    order: np.ndarray,
    fractions: np.ndarray,
) -> dict[int, int]:
    """Groups and the parts that they go to, so that every part has every label.

    Labels of few groups come first, the smallest of a label's groups first, and the smallest part
    gets the smallest.
    """
    n = len(size)
    pairs = np.unique(pd.factorize(labels, sort=True)[0] * n + group)
    members = np.split(pairs % n, np.flatnonzero(np.diff(pairs // n)) + 1)
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    parts = np.argsort(fractions, kind="stable").tolist()
    part: dict[int, int] = {}
    for having in sorted(members, key=len):
        small_first = having[np.lexsort((place[having], size[having]))].tolist()
        have = {part[g] for g in small_first if g in part}
        free = (g for g in small_first if g not in part)
        part |= dict(zip(free, [p for p in parts if p not in have], strict=False))
    return part


def _size_bands(size: np.ndarray, few: int) -> np.ndarray:
    """1, 2, 3 to 4, 5 to 8, ... images; bands of few groups are joined with the one below."""
    band = np.frexp(size - 1)[1]  # the logarithm to base 2, rounded up
    at_least = np.bincount(band)[::-1].cumsum()[::-1]
    joined: np.ndarray = np.minimum(band, max(0, int((at_least >= few).sum()) - 1))
    return joined


def _pooled(column: np.ndarray, group: np.ndarray, few: int) -> np.ndarray:
    """A column's levels as numbers; levels of few groups count as one."""
    code = pd.factorize(column, sort=True)[0]
    width = int(code.max()) + 1
    groups = np.bincount(np.unique(group * width + code) % width, minlength=width)
    pooled: np.ndarray = np.where(groups[code] < few, width, code)
    return pooled
