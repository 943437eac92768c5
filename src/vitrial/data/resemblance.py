"""How much two pictures resemble each other, whatever was done to the file of one of them.

Medical images of a kind all look alike at a glance: a disk, a mole in the middle, a breast at the
left. So a pair passes three looks, each dearer and stricter than the one before: a perceptual hash
(Zauner, Implementation and benchmarking of perceptual image hash functions, 2010), the correlation
of the coarse structure after the small affine displacement that fits best (to first order; Lucas
and Kanade, 1981), and the correlation of the fine structure once that displacement is undone. All
three see gray pictures whose contrast is made even, so that neither brightness nor a bright rim
counts.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

COARSE, FINE = 32, 64
"""Sides in pixels of the two reductions of a picture."""
TURNS = 8
"""Quarter turns and mirrorings. Bit 2 swaps the axes, then bit 1 flips rows, bit 0 columns."""
RADIUS = 10
"""Bits of 63 in which the hashes of a pair may differ."""
AS_THEY_LIE, ALIGNED, RESEMBLE = 0.85, 0.95, 0.85
"""Least correlations: coarse as they lie, coarse once displaced, fine once displaced."""
FAINT = 0.5
"""Standard deviation of the coarse structure, of 255, below which a picture shows too little."""
_EVEN = 4.0
"""Width, in pixels, of the Gaussian within which contrast is made even."""
_FLOOR = 2.0
"""Contrast, of 255, that is not amplified: compression leaves as much in what was flat."""
_STEP = 32
"""Steps of coarse structure, stored in 8 bits, to a local standard deviation."""


def reduce(pixels: np.ndarray, side: int) -> np.ndarray:
    """Gray area means, float32 (n, side, side), of uint8 images (n, height, width, channels)."""
    n, height, width, channels = pixels.shape
    over = np.repeat(_areas(side, width), channels, axis=1) / channels
    flat = pixels.reshape(n * height, width * channels).astype(np.float32)
    reduced: np.ndarray = _areas(side, height) @ (flat @ over.T).reshape(n, height, side)
    return reduced


@cache
def _areas(cells: int, pixels: int) -> np.ndarray:
    """The share of every pixel in every cell, float32 (cells, pixels); rows add up to 1."""
    edges = np.linspace(0, pixels, cells + 1)[:, None]
    start = np.arange(pixels)
    overlap = np.minimum(edges[1:], start + 1) - np.maximum(edges[:-1], start)
    shares: np.ndarray = (np.clip(overlap, 0, None) * cells / pixels).astype(np.float32)
    return shares


def hashes(gray: np.ndarray) -> np.ndarray:
    """Hashes uint64 (TURNS, n) of gray pictures (n, COARSE, COARSE), for every turn of them.

    A bit is the sign of a coefficient of the cosine transform, of the 8 x 8 lowest frequencies
    without the mean: turning a picture swaps coefficients and changes signs, no more.
    """
    waves = dctn(gray, axes=(1, 2), norm="ortho")[:, :8, :8]
    odd = np.where(np.arange(8) % 2, -1, 1)
    found = []
    for turn in range(TURNS):
        turned = waves.transpose(0, 2, 1) if turn & 4 else waves
        bits = turned * (odd[:, None] if turn & 2 else 1) * (odd if turn & 1 else 1) > 0
        bits[:, 0, 0] = False
        found.append(np.packbits(bits.reshape(len(gray), 64), axis=1).view(np.uint64)[:, 0])
    return np.stack(found)


def turned(images: np.ndarray, turn: int) -> np.ndarray:
    """Images (n, side, side), turned as `hashes` counts turns."""
    images = images.transpose(0, 2, 1) if turn & 4 else images
    images = images[:, ::-1] if turn & 2 else images
    return np.ascontiguousarray(images[:, :, ::-1] if turn & 1 else images)


def coarse_structure(gray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Structure int8 of gray pictures (n, COARSE, COARSE), and bool (n,) whether there is any."""
    smooth = _blurred(gray, 1.0)
    plain = smooth - _blurred(smooth, _EVEN)
    structure = np.clip(np.rint(_evened(plain) * _STEP), -127, 127).astype(np.int8)
    return structure, plain.std(axis=(1, 2)) >= FAINT


def fine_structure(gray: np.ndarray) -> np.ndarray:
    """Structure float32 of gray pictures (n, FINE, FINE)."""
    return _evened(gray - _blurred(gray, _EVEN))


def _evened(plain: np.ndarray) -> np.ndarray:
    evened: np.ndarray = plain / (np.sqrt(_blurred(plain**2, _EVEN)) + _FLOOR)
    return evened


def _blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    blurred: np.ndarray = gaussian_filter(images, (0, sigma, sigma), mode="nearest")
    return blurred


def correlation(a: np.ndarray, b: np.ndarray, margin: int = 0) -> np.ndarray:
    """Pearson's correlation (n,) of each image of `a` with that of `b`, without their margins."""
    x, y = (_inner(images, margin).astype(np.float32) for images in (a, b))
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.einsum("ij,ij->i", x, x) * np.einsum("ij,ij->i", y, y))
    products: np.ndarray = np.einsum("ij,ij->i", x, y) / np.maximum(norms, 1e-6)
    return products


def align(a: np.ndarray, b: np.ndarray, margin: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Displace each image of `a` so that it fits that of `b`, to first order.

    Least squares of b on a, its derivatives and these times y and x: their weights are a shift, a
    stretch, a shear and a turn, all small.

    Args:
        a: Structures (n, side, side).
        b: Likewise.
        margin: Pixels at each side that are not looked at, as a crop has lost them.

    Returns:
        The correlations (n,) after the displacement, 0 for a negative; and the displacements in
        pixels (n, 2, 3): down and right, each constant, times y and times x, both in [-1, 1].
    """
    place = np.linspace(-1, 1, a.shape[1], dtype=np.float32)
    a, b = a.astype(np.float32), b.astype(np.float32)
    terms = [a]
    for slope in np.gradient(a, axis=(1, 2)):
        terms += [slope, place[:, None] * slope, place * slope]
    x = np.stack([_inner(term, margin) for term in terms], axis=1)
    y = _inner(b, margin)
    products = (x @ x.transpose(0, 2, 1)).astype(np.float64)
    with_b = (x @ y[..., None]).astype(np.float64)
    # A picture with structure along one axis alone does not say how it is displaced on the other.
    ridge = 1e-6 * np.trace(products, axis1=1, axis2=2)[:, None, None] * np.eye(len(terms))
    weights = np.linalg.solve(products + ridge + 1e-9 * np.eye(len(terms)), with_b)[..., 0]
    explained = (weights * with_b[..., 0]).sum(axis=1) / np.maximum((y**2).sum(axis=1), 1e-6)
    positive = weights[:, 0] > 0
    scale = np.where(positive, weights[:, 0], 1)[:, None]
    displacement = (weights[:, 1:] / scale).reshape(len(a), 2, 3).astype(np.float32)
    return np.sqrt(np.clip(explained, 0, 1)) * positive, np.clip(displacement, -2, 2)


def displaced(images: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Images (n, side, side) displaced by (n, 2, 3) pixels (see `align`), between pixels bilinear.

    What comes from outside of an image continues its edge.
    """
    n, side, _ = images.shape
    place = np.linspace(-1, 1, side, dtype=np.float32)
    planes = np.stack(np.broadcast_arrays(np.float32(1), place[:, None], place))
    flow = np.einsum("nkp,pyx->knyx", displacement, planes)
    y, x = np.clip(flow + np.indices((side, side))[:, None], 0, side - 1)
    # The last pixel is reached from the one before it.
    top, left = (np.minimum(p.astype(np.int64), side - 2) for p in (y, x))
    down, right = y - top, x - left
    each = np.arange(n)[:, None, None]
    upper = images[each, top, left] * (1 - right) + images[each, top, left + 1] * right
    lower = images[each, top + 1, left] * (1 - right) + images[each, top + 1, left + 1] * right
    between: np.ndarray = upper * (1 - down) + lower * down
    return between


def _inner(images: np.ndarray, margin: int) -> np.ndarray:
    """The pixels of images without their margins, one row an image."""
    n, side, _ = images.shape
    inner = images[:, margin : side - margin, margin : side - margin]
    return inner.reshape(n, (side - 2 * margin) ** 2)
