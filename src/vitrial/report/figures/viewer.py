"""What the report's viewer of maps needs, as JSON inside the page."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from vitrial.explain.shown import Shown, ShownMap
from vitrial.report.figures.figure_one import (
    COLORS,
    DIM,
    STRENGTH,
    answer_in_words,
    in_color,
    is_wrong,
    method_in_words,
    outline,
)

SIDE = 256
"""Of the page's pictures, at most, in pixels."""
MOST_WITH_HEADS = 12
"""Maps of an image up to which each can be seen head by head: heads of more would fill the page."""
# None of them stands in the page, so that no name can end the <script> element.
ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def viewer_data(shown: Sequence[Shown]) -> Markup:
    """Images and maps for `explanations.js`.

    Args:
        shown: The images of Figure 1.

    Returns:
        JSON, safe in a <script> element. Values are 8-bit, 255 for a map's largest; outlines are
        x, y, x, y, ... as shares of the picture's sides.
    """
    ramp = np.round(COLORS(np.arange(256))[:, :3] * 255).astype(np.uint8)
    data = {
        "colors": _base64(ramp.tobytes()),
        "strength": STRENGTH,
        "dim": DIM,
        "images": [_image(image) for image in shown],
    }
    return Markup(json.dumps(data, separators=(",", ":")).translate(ESCAPES))


def _image(image: Shown) -> dict[str, Any]:
    size = np.array(image.pixels.shape[1::-1])
    lines = [] if image.mask is None else outline(image.mask)
    return {
        "name": image.image,
        "label": image.label,
        "picture": _jpeg(image.pixels),
        "outlines": [((line + 0.5) / size).round(3).ravel().tolist() for line in lines],
        "maps": [_map(one, image.label, len(image.maps) <= MOST_WITH_HEADS) for one in image.maps],
    }


def _map(found: ShownMap, label: str, with_heads: bool) -> dict[str, Any]:
    heads = [] if found.heads is None or not with_heads else list(found.heads)
    names = ["all heads", *(f"head {number}" for number in range(1, len(heads) + 1))]
    height, width = found.values.shape
    return {
        "arm": found.arm,
        "method": method_in_words(found.method),
        "patches": found.method == "attention",
        "answer": answer_in_words(found, label),
        "wrong": is_wrong(found, label),
        "height": height,
        "width": width,
        "layers": [
            {"name": name, "values": _base64(_quantized(values).tobytes())}
            for name, values in zip(names, [found.values, *heads], strict=True)
        ],
    }


def _quantized(values: np.ndarray) -> np.ndarray:
    largest = values.max()
    return np.round(values * (255 / largest if largest > 0 else 0)).astype(np.uint8)


def _jpeg(pixels: np.ndarray) -> str:
    image = Image.fromarray(np.ascontiguousarray(in_color(pixels)))
    image.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=85)
    return "data:image/jpeg;base64," + _base64(content.getvalue())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
