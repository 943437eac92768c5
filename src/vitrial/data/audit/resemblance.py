"""How much two pictures resemble each other, whatever was done to the file of one of them.

Medical images of a kind all look alike at a glance: a disk, a mole in the middle, a breast at the
left, two lungs. So a pair passes three looks, each dearer and stricter than the one before: a
perceptual hash (Zauner, Implementation and benchmarking of perceptual image hash functions, 2010),
the correlation of the coarse structure after the small affine displacement that fits best (Lucas
and Kanade, 1981), and the correlation of the fine structure once that displacement is undone. All
three see gray pictures without a border of one color, whose contrast is made even, so that neither
brightness nor a bright rim counts. And what the pictures of a data set have in common says nothing
about whether two of them are the same: the hash compares each with their median, and the last
correlation leaves out their principal components.
"""

from __future__ import annotations

import numpy as np

AS_THEY_LIE, ALIGNED = 0.5, 0.85
"""Least resemblance of the coarse structure as it lies; its least correlation once displaced."""
RESEMBLE = (0.7, 0.9)
"""Bounds of the least resemblance of the fine structure, once displaced: `least_resemblance`."""
UNLIKELY = 2.5
"""How far beyond what chance alone would give is needed. `benchmarks/duplicates.py`: of 5 million
pairs of chest X-rays of 28 pixels, the most alike of different patients reach 2.3."""
FEW = 32
"""Pictures that are too few to say what pictures of their kind have in common."""
SHARED = 64
"""Principal components that pictures of a kind share, at most; at most one for 8 pictures."""
_ALIKE = 0.9
"""Correlation of the fine structure beyond which one picture speaks for both in the components."""
_MARGIN = 12
"""One part in so many at each side is not looked at, as a crop has lost it."""


def shared_structure(structures: np.ndarray) -> np.ndarray:
    """What pictures have in common: the principal components of their structures.

    Of pictures that are nearly the same one counts: a picture copied often is nothing shared.

    Args:
        structures: Fine or coarse ones (n, side, side).

    Returns:
        Orthonormal float32 (k, pixels without the margin), k at most `SHARED`, n / 8 and half of
        what makes up 95 % of the structures.
    """
    x = _unit(inner(structures, structures.shape[1] // _MARGIN))
    alike = x @ x.T > _ALIKE
    kept: list[int] = []
    for i in range(len(x)):
        if not alike[i, kept].any():
            kept.append(i)
    x = x[kept]
    if len(x) < 8:
        return x[:0]
    values, vectors = np.linalg.eigh(x @ x.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    # Of soft pictures a few components are nearly everything: half of them remain.
    nearly_all = 1 + int((np.cumsum(values) < 0.95 * values.sum()).sum())
    k = min(SHARED, len(x) // 8, nearly_all // 2)
    components = vectors[:, :k].T @ x / np.sqrt(np.maximum(values[:k, None], 1e-6))
    shared: np.ndarray = components.astype(np.float32)
    return shared


def least_resemblance(fine: np.ndarray, shared: np.ndarray, n: int) -> float:
    """The resemblance from which two of n pictures are copies, by how much the pictures show.

    Different pictures that resolve N independent details correlate by chance alone, with the
    standard deviation 1 / sqrt(N) of Fisher's z; the largest of m such z is near sqrt(2 ln m)
    standard deviations. So 28 pixels across show too little for a loose bound, and 128 do not.

    Args:
        fine: Fine structures (m, FINE, FINE) of a sample.
        shared: Of the same sample.
        n: Of how many pictures the sample is.
    """
    if len(fine) < FEW:
        return RESEMBLE[1]
    x = _own(fine, shared)
    z = np.arctanh(np.clip((x @ x.T)[np.triu_indices(len(x), 1)], -0.999, 0.999))
    low, high = np.quantile(z, (0.16, 0.84))  # a few copies in the sample change them little
    chance = np.sqrt(2 * np.log(n * (n - 1) / 2)) * (high - low) / 2
    return float(np.clip(np.tanh(UNLIKELY * chance), *RESEMBLE))


def resemblance(a: np.ndarray, b: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Correlation (n,) of structures (n, side, side) without what they share with all others."""
    products: np.ndarray = np.einsum("ij,ij->i", _own(a, shared), _own(b, shared))
    return products


def _own(structures: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """What is each structure's own, scaled to the norm 1: (n, pixels without the margin)."""
    x = _unit(inner(structures, structures.shape[1] // _MARGIN))
    return _unit(x - (x @ shared.T) @ shared)


def correlation(a: np.ndarray, b: np.ndarray, margin: int = 0) -> np.ndarray:
    """Pearson's correlation (n,) of each image of `a` with that of `b`, without their margins."""
    x, y = (_unit(inner(images, margin)) for images in (a, b))
    products: np.ndarray = np.einsum("ij,ij->i", x, y)
    return products


def _unit(x: np.ndarray) -> np.ndarray:
    """Each row of x without its mean, scaled to the norm 1."""
    x = x.astype(np.float32)
    x = x - x.mean(axis=1, keepdims=True)
    unit: np.ndarray = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6)
    return unit


def inner(images: np.ndarray, margin: int) -> np.ndarray:
    """The pixels of images without their margins, one row an image."""
    n, side, _ = images.shape
    inner = images[:, margin : side - margin, margin : side - margin]
    return inner.reshape(n, (side - 2 * margin) ** 2)
