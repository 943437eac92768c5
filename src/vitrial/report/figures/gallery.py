"""Figure 1 inside the page: a picture that needs neither a file beside it nor a script."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from vitrial.explain.shown import Shown
from vitrial.report.figures.figure_one import figure_one

MOST = 8
"""Images and models that are shown: the files beside the report have all of them."""
DPI, QUALITY = 110, 82


def gallery(shown: Sequence[Shown]) -> str:
    """Figure 1 as a JPEG in a data URI, of some 100 KB for every 10 pictures.

    Args:
        shown: One or more images with their maps.
    """
    models = list(dict.fromkeys((one.arm, one.method) for image in shown for one in image.maps))
    kept = set(models[:MOST])
    some = [
        replace(image, maps=[one for one in image.maps if (one.arm, one.method) in kept])
        for image in shown[:MOST]
    ]
    drawn, content = io.BytesIO(), io.BytesIO()
    figure_one(some).savefig(drawn, dpi=DPI, facecolor="white")
    Image.open(drawn).convert("RGB").save(content, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
