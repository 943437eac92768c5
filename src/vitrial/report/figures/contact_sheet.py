"""Contact sheets: many images at a glance, from the pixel cache, without a second decode."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from vitrial.data.cache import PixelCache

THUMBNAIL, GAP = 80, 4
"""Side of a thumbnail and space between two, in pixels."""
COLUMNS = 10
MOST, FEWEST = 40, 8
"""Images on a sheet; fewer where there are many sheets."""


def contact_sheet(cache: PixelCache, rows: np.ndarray) -> str:
    """Images side by side in one picture, 10 a line.

    Args:
        cache: The pixels.
        rows: (n,) rows of the cache, one or more.

    Returns:
        A JPEG as a data URI.
    """
    step = THUMBNAIL + GAP
    lines = -(-len(rows) // COLUMNS)
    sheet = Image.new("RGB", (min(len(rows), COLUMNS) * step - GAP, lines * step - GAP), "white")
    for place, thumbnail in enumerate(_thumbnails(cache, rows)):
        line, column = divmod(place, COLUMNS)
        sheet.paste(thumbnail, (column * step, line * step))
    return _data_uri(sheet)


def thumbnails(cache: PixelCache, rows: np.ndarray) -> list[str]:
    """Each image by itself, small, as a JPEG in a data URI."""
    return [_data_uri(thumbnail) for thumbnail in _thumbnails(cache, rows)]


def _thumbnails(cache: PixelCache, rows: np.ndarray) -> list[Image.Image]:
    side = (THUMBNAIL, THUMBNAIL)
    pixels = cache.read(rows)
    images = (Image.fromarray(p[..., 0] if p.shape[-1] == 1 else p) for p in pixels)
    return [image.convert("RGB").resize(side, Image.Resampling.BILINEAR) for image in images]


def _data_uri(image: Image.Image) -> str:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
