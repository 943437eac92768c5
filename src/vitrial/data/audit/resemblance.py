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

from functools import cache

import numpy as np
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter, map_coordinates

COARSE, FINE = 32, 64
"""Sides in pixels of the two reductions of a picture."""
TURNS = 8
"""Quarter turns and mirrorings. Bit 2 swaps the axes, then bit 1 flips rows, bit 0 columns."""
MOVES = np.array(
    [
        *(
            [(down, -0.08, 0), (right, 0, -0.08)]
            for down in (-0.08, 0.08)
            for right in (-0.08, 0.08)
        ),
        [(0, -0.09, 0), (0, 0, -0.09)],
        [(0, 0, 0.07), (0, -0.07, 0)],
    ],
    np.float32,
)
"""Displacements, in half sides (see `align`), to look for besides: the crops to each corner and to
the center by 8 and 9 % of the side, and a turn by 4 degrees."""
POSES = TURNS + len(MOVES)
"""What is done to one picture of a pair before it is compared: a turn, or else a move."""
RADIUS = 12
"""Bits of 63 in which the hashes of a pair may differ."""
AS_THEY_LIE, ALIGNED = 0.5, 0.85
"""Least resemblance of the coarse structure as it lies; its least correlation once displaced."""
RESEMBLE = (0.7, 0.9)
"""Bounds of the least resemblance of the fine structure, once displaced: `least_resemblance`."""
UNLIKELY = 2.5
"""How far beyond what chance alone would give is needed. `benchmarks/duplicates.py`: of 5 million
pairs of chest X-rays of 28 pixels, the most alike of different patients reach 2.3."""
FEW = 32
"""Pictures that are too few to say what pictures of their kind have in common."""
FAINT = 0.5
"""Standard deviation of the coarse structure, of 255, below which a picture shows too little."""
SHARED = 64
"""Principal components that pictures of a kind share, at most; at most one for 8 pictures."""
_ALIKE = 0.9
"""Correlation of the fine structure beyond which one picture speaks for both in the components."""
_PLAIN = 0.05
"""Deviation from one color, of the picture's standard deviation, of a line in its border."""
_LOOKED_AT = 128
"""Rows and columns among which a border is looked for."""
_MIXED = 0.03
"""Share of the side that is cut off: a pixel of a picture 28 pixels wide."""
_EVEN = 4.0
"""Width, in pixels, of the Gaussian within which contrast is made even."""
_FLOOR = 2.0
"""Contrast, of 255, that is not amplified: compression leaves as much in what was flat."""
_STEP = 32
"""Steps of coarse structure, stored in 8 bits, to a local standard deviation."""
_MARGIN = 12
"""One part in so many at each side is not looked at, as a crop has lost it."""


def whole_box(height: int, width: int) -> np.ndarray:
    """Top, bottom, left and right, int (4,) in pixels, of a picture without its very edges."""
    box: np.ndarray = _cut(np.array([[0, height, 0, width]]))[0]
    return box


def inner_boxes(pixels: np.ndarray) -> np.ndarray:
    """What lies within each picture's border of one color, without its very edges.

    Args:
        pixels: uint8 (n, height, width, channels).

    Returns:
        Boxes int (n, 4) as of `whole_box`, which it is where there is no border, or where less than
        a quarter of a side would be left.
    """
    step = max(1, max(pixels.shape[1:3]) // _LOOKED_AT)
    gray = pixels[:, ::step, ::step].mean(axis=3, dtype=np.float32)
    limit = _PLAIN * gray.std(axis=(1, 2))
    outermost = [gray[:, 0], gray[:, -1], gray[:, :, 0], gray[:, :, -1]]
    bordered = np.min([line.std(axis=1) for line in outermost], axis=0) <= limit
    boxes = np.tile((0, pixels.shape[1], 0, pixels.shape[2]), (len(pixels), 1))
    for i in np.flatnonzero(bordered):
        for lines, ends in ((gray[i], slice(0, 2)), (gray[i].T, slice(2, 4))):
            inner = step * _inner_part(lines, limit[i])
            boxes[i, ends] = np.minimum(inner, boxes[i, ends][1])
    return _cut(boxes)


def _cut(boxes: np.ndarray) -> np.ndarray:
    """Boxes (n, 4) less their edges: where a border ends, it is mixed with the picture."""
    cut = np.rint(_MIXED * (boxes[:, 1::2] - boxes[:, ::2])).astype(np.int64)
    inner: np.ndarray = boxes + np.stack([cut[:, 0], -cut[:, 0], cut[:, 1], -cut[:, 1]], axis=1)
    return inner


def _inner_part(lines: np.ndarray, limit: float) -> np.ndarray:
    """From the first to behind the last line (n, pixels) that is no border, if a quarter is left.

    A border's lines have one color, that of the outermost.
    """
    n = len(lines)
    ends = []
    for inwards in (lines, lines[::-1]):
        differs = np.sqrt(((inwards - inwards[0].mean()) ** 2).mean(axis=1)) > limit
        ends.append(int(differs.argmax()))
    first, last = ends[0], n - ends[1]
    return np.array((first, last) if last - first >= n / 4 else (0, n))


def reduce_within(pixels: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
    """`reduce` what lies within the box (n, 4) of each picture: see `inner_boxes`."""
    reduced = np.empty((len(pixels), side, side), np.float32)
    for top, bottom, left, right in np.unique(boxes, axis=0):
        of = (boxes == (top, bottom, left, right)).all(axis=1)
        reduced[of] = reduce(pixels[of, top:bottom, left:right], side)
    return reduced


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


def waves(structure: np.ndarray) -> np.ndarray:
    """The 8 x 8 lowest coefficients of the cosine transform, (n, 8, 8), of coarse structures.

    Those of a picture have the norm 1, whatever its contrast; the mean, the first, is left out.
    """
    found = dctn(structure.astype(np.float32), axes=(1, 2), norm="ortho")[:, :8, :8]
    found[:, 0, 0] = 0
    norm = np.linalg.norm(found, axis=(1, 2), keepdims=True)
    scaled: np.ndarray = found / np.maximum(norm, 1e-6)
    return scaled


def hashes(structure: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Hashes uint64 (POSES, n) of coarse structures (n, COARSE, COARSE), in every pose.

    A bit says whether a coefficient of `waves` is above the common one (8, 8). Turning a picture
    swaps coefficients and changes signs, no more.
    """
    as_it_is = waves(structure)
    odd = np.where(np.arange(8) % 2, -1, 1)
    found = []
    for pose in range(POSES):
        if pose < TURNS:
            seen = as_it_is.transpose(0, 2, 1) if pose & 4 else as_it_is
            seen = seen * (odd[:, None] if pose & 2 else 1) * (odd if pose & 1 else 1)
        else:
            seen = waves(posed(structure, pose))
        bits = seen > common
        bits[:, 0, 0] = False
        found.append(np.packbits(bits.reshape(len(bits), 64), axis=1).view(np.uint64)[:, 0])
    return np.stack(found)


def posed(images: np.ndarray, pose: int) -> np.ndarray:
    """Images (n, side, side) in a pose: turned, or else moved."""
    images = turned(images, pose)
    if pose < TURNS:
        return images
    return displaced(images, np.broadcast_to(move(pose, images.shape[1]), (len(images), 2, 3)))


def turned(images: np.ndarray, pose: int) -> np.ndarray:
    """Images (n, side, side) turned as `TURNS` says; as they are in a pose that is a move."""
    if pose >= TURNS:
        return images
    images = images.transpose(0, 2, 1) if pose & 4 else images
    images = images[:, ::-1] if pose & 2 else images
    return np.ascontiguousarray(images[:, :, ::-1] if pose & 1 else images)


def move(pose: int, side: int) -> np.ndarray:
    """The displacement (2, 3) in pixels of a pose, all 0 if it is a turn: see `align`."""
    return MOVES[pose - TURNS] * (side / 2) if pose >= TURNS else np.zeros((2, 3), np.float32)


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


def shared_structure(structures: np.ndarray) -> np.ndarray:
    """What pictures have in common: the principal components of their structures.

    Of pictures that are nearly the same one counts: a picture copied often is nothing shared.

    Args:
        structures: Fine or coarse ones (n, side, side).

    Returns:
        Orthonormal float32 (k, pixels without the margin), k at most `SHARED`, n / 8 and half of
        what makes up 95 % of the structures.
    """
    x = _unit(_inner(structures, structures.shape[1] // _MARGIN))
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
    x = _unit(_inner(structures, structures.shape[1] // _MARGIN))
    return _unit(x - (x @ shared.T) @ shared)


def correlation(a: np.ndarray, b: np.ndarray, margin: int = 0) -> np.ndarray:
    """Pearson's correlation (n,) of each image of `a` with that of `b`, without their margins."""
    x, y = (_unit(_inner(images, margin)) for images in (a, b))
    products: np.ndarray = np.einsum("ij,ij->i", x, y)
    return products


def align(
    a: np.ndarray, b: np.ndarray, start: np.ndarray, steps: int = 3, margin: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Displace each image of `a` so that it fits that of `b`.

    Least squares of b on a, its derivatives and these times y and x: their weights are a shift, a
    stretch, a shear and a turn, all small. Each step goes on from the displacement before it.

    Args:
        a: Structures (n, side, side).
        b: Likewise.
        start: Displacements (2, 3) or (n, 2, 3) to start from.
        steps: How often.
        margin: Pixels at each side that are not looked at, as a crop has lost them.

    Returns:
        The correlations (n,) to first order in the best step, 0 for a negative; and the
        displacements in pixels (n, 2, 3): down and right, each constant, times y and times x,
        both in [-1, 1].
    """
    a, b = a.astype(np.float32), b.astype(np.float32)
    fit = np.full(len(a), -1.0)
    displacement = np.broadcast_to(start, (len(a), 2, 3))
    for _ in range(steps):
        better, more = _step(displaced(a, displacement), b, margin)
        gains = better > fit
        fit = np.where(gains, better, fit)
        displacement = displacement + np.where(gains[:, None, None], more, 0)
    return fit, displacement


def _step(a: np.ndarray, b: np.ndarray, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """The fit (n,) and the displacement (n, 2, 3) of one step: see `align`."""
    place = np.linspace(-1, 1, a.shape[1], dtype=np.float32)
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
    y, x = flow + np.indices((side, side))[:, None]
    each = np.broadcast_to(np.arange(n)[:, None, None], y.shape)
    between: np.ndarray = map_coordinates(images, [each, y, x], order=1, mode="nearest")
    return between


def _unit(x: np.ndarray) -> np.ndarray:
    """Each row of x without its mean, scaled to the norm 1."""
    x = x.astype(np.float32)
    x = x - x.mean(axis=1, keepdims=True)
    unit: np.ndarray = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6)
    return unit


def _inner(images: np.ndarray, margin: int) -> np.ndarray:
    """The pixels of images without their margins, one row an image."""
    n, side, _ = images.shape
    inner = images[:, margin : side - margin, margin : side - margin]
    return inner.reshape(n, (side - 2 * margin) ** 2)
