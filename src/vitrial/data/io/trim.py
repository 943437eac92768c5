"""Where the organ lies in an image: the disc of a fundus image, the breast in a mammogram.

Both are found on a grid of at most 256 x 256 cells, as the bounding box of the largest connected
region that is brighter than what surrounds it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image as Pillow
from scipy import ndimage

GRID = 256
"""Cells along a side at most."""
SHARE = 0.1
"""How far between dark (0) and bright (1) the organ begins."""
CONTRAST = 8
"""Gray levels between dark and bright without which nothing stands out."""
LEAST = 0.05
"""Share of the image below which a region is not the organ."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; right and bottom lie outside."""


def organ_box(gray: np.ndarray, organ: Literal["fundus", "mammogram"]) -> Box | None:
    """The bounding box of the organ that an image shows.

    A `fundus` image's disc is lit, and text or noise in the black around it is small. In a
    `mammogram` the breast is the largest bright region, on either side; labels burnt in beside it
    and thin bright edges of a scanned film do not count, unless they overlap it.

    Args:
        gray: (height, width), 0 (black) to 255 (white).
        organ: What to look for.

    Returns:
        The box, or None where nothing, or next to nothing, stands out.
    """
    height, width = gray.shape
    cells = (min(GRID, width), min(GRID, height))
    picture = Pillow.fromarray(np.asarray(gray, dtype=np.float32))
    grid = np.asarray(picture.resize(cells, Pillow.Resampling.BOX))
    # A median takes specks and thin strokes away and leaves edges where they are.
    smooth = ndimage.median_filter(grid, 5, mode="nearest")
    dark, bright = np.percentile(smooth, (1, 95))
    if bright - dark < CONTRAST:
        return None
    lit = smooth > dark + SHARE * (bright - dark)
    if organ == "mammogram":
        lit = _without_strips(lit)
    return _scaled(_largest(lit), cells, (width, height))


def _without_strips(lit: np.ndarray) -> np.ndarray:
    """What is left of a region where it is wider than a film's edge or a letter's stroke."""
    return np.asarray(ndimage.binary_opening(lit, np.ones((7, 7), dtype=bool)))


def _largest(lit: np.ndarray) -> tuple[slice, slice] | None:
    regions, n = ndimage.label(lit)
    sizes = np.bincount(regions.ravel(), minlength=n + 1)[1:]
    if n == 0 or sizes.max() < LEAST * lit.size:
        return None
    rows, columns = ndimage.find_objects(regions)[int(sizes.argmax())]
    return rows, columns


def _scaled(
    place: tuple[slice, slice] | None, cells: tuple[int, int], size: tuple[int, int]
) -> Box | None:
    """Cells as pixels, rounded outwards."""
    if place is None:
        return None
    rows, columns = place
    x, y = size[0] / cells[0], size[1] / cells[1]
    return (
        int(columns.start * x),
        int(rows.start * y),
        int(np.ceil(columns.stop * x)),
        int(np.ceil(rows.stop * y)),
    )
