"""Pictures turned, mirrored and moved, and the small displacement that fits one to another.

Lucas and Kanade, "An iterative image registration technique", IJCAI 1981.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from vitrial.data.audit.resemblance import inner

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
    x = np.stack([inner(term, margin) for term in terms], axis=1)
    y = inner(b, margin)
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
