"""How an arm's features lie: test images in a plane, those alike near each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from vitrial.report.figures.panels import key
from vitrial.report.figures.svg import SERIES, WIDTH, Scale, color, element, picture

HEIGHT = 300.0
FEW, LARGEST = 600, 1.8
"""Marks of fewer images are larger, up to so many times."""
SHOWN = SERIES - 1
"""Classes with a color and shape of their own; the rest share the last."""
SHAPES = (
    "m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0z",
    "m-1.8-1.8h3.6v3.6h-3.6z",
    "m0-2.4l2.3 4.2h-4.6z",
    "m0-2.6l2.3 2.6l-2.3 2.6l-2.3-2.6z",
    "m0 2.4l2.3-4.2h-4.6z",
    "m-2.4-.6h1.8v-1.8h1.2v1.8h1.8v1.2h-1.8v1.8h-1.2v-1.8h-1.8z",
    "m-2.1-2.1h1l1.1 1.4l1.1-1.4h1l-1.6 2.1l1.6 2.1h-1l-1.1-1.4l-1.1 1.4h-1l1.6-2.1z",
    "m-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0z",
)
"""Markers of a class, drawn from their middle, in the order of `svg.MARKERS`."""


def embedding_map(
    name: str, title: str, places: np.ndarray, targets: np.ndarray, classes: Sequence[str]
) -> Markup:
    """Test images as marks, by class.

    Args:
        name: The figure's, unlike any other on the page.
        title: The arm's name.
        places: (n, 2) in the plane.
        targets: (n,) class indices.
        classes: Their names, by index.
    """
    counts = np.bincount(targets, minlength=len(classes))
    own = list(np.argsort(-counts, kind="stable")[:SHOWN]) if len(classes) > SERIES else None
    ordered = sorted(own) if own is not None else list(range(len(classes)))
    rows = [(classes[c], place, f"{counts[c]:,}") for place, c in enumerate(ordered)]
    rest = np.isin(targets, ordered, invert=True)
    if rest.any():
        rows.append((f"{len(classes) - SHOWN} further classes", SHOWN, f"{rest.sum():,}"))
    legend, top = key(rows, title, lines=False)
    low, high = places.min(axis=0), places.max(axis=0)
    top += 8
    x, y = Scale(low[0], high[0], 6, WIDTH - 6), Scale(low[1], high[1], top + HEIGHT, top)
    size = round(min(LARGEST, max(1.0, (FEW / len(places)) ** 0.5)), 2)
    parts = [legend]
    if rest.any():
        parts.append(_marks(x, y, places[rest], SHOWN, size))
    parts += [_marks(x, y, places[targets == c], place, size) for place, c in enumerate(ordered)]
    return picture(
        name,
        f"Features of {title}",
        f"{len(places):,} test images by the features of {title}, those alike near each other, "
        f"marked by class.",
        top + HEIGHT + 8,
        parts,
    )


def _marks(x: Scale, y: Scale, places: np.ndarray, series: int, size: float) -> Markup:
    """All images of a class as one path, which is drawn `size` times as large."""
    path = "".join(f"M{x(a) / size:.1f} {y(b) / size:.1f}{SHAPES[series]}" for a, b in places)
    if not path:
        return Markup("")
    larger = f"scale({size:.2f})" if size > 1 else None
    return element("path", d=path, class_=f"dots {color(series)}", transform=larger)
