"""Pictures made small and gray, without a border of one color."""

from __future__ import annotations

from functools import cache

import numpy as np

_PLAIN = 0.05
"""Deviation from one color, of the picture's standard deviation, of a line in its border."""
_LOOKED_AT = 128
"""Rows and columns among which a border is looked for."""
_MIXED = 0.03
"""Share of the side that is cut off: a pixel of a picture 28 pixels wide."""


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
