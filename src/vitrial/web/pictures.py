"""Pictures inside a page, as data URLs."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image


def picture(pixels: np.ndarray, side: int) -> str:
    """A picture as a JPEG inside a URL.

    Args:
        pixels: uint8 or float in [0, 1], (height, width, 1 or 3).
        side: Of the longer side at most, in pixels.
    """
    if pixels.dtype != np.uint8:
        pixels = np.round(pixels * 255).astype(np.uint8)
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((side, side))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
