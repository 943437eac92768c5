"""Figure 1 of Matsoukas et al. 2021 for one's own images: what each model looks at."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from contourpy import contour_generator
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from vitrial.atomic import replacing
from vitrial.explain.methods import METHODS
from vitrial.explain.shown import Shown, ShownMap, top_mass

BASELINES = {"random": "random map", "center": "center of the image"}
"""Baselines as they stand in figures and tables."""

COLORS = matplotlib.colormaps["viridis"]
"""From low to high; perceptually uniform, safe for color-blind readers."""
STRENGTH = 0.75
"""Opacity of a map's highest value over the image; that of zero is 0."""
DIM = 0.25
"""Brightness of what the attention leaves out."""
MASS = 0.5
"""Share of the attention that the bright patches hold, as in the paper."""

SIDE, GAP, LINE, MARGIN = 1.5, 0.06, 0.12, 0.1
"""In inches: a picture's side, the gap between columns, a line of text, and the space around it."""
TEXT: dict[str, Any] = {
    "fontsize": 7,
    "parse_math": False,
}  # a name may hold a $, which is no formula
CHARACTERS = 27
"""Of a line that is as wide as a picture."""
MISTAKE = "#B3261E"


def method_in_words(name: str) -> str:
    """A method or baseline as it stands in figures and tables."""
    if name in METHODS.names():
        return str(METHODS.entry(name).LABEL)
    return BASELINES.get(name, name)


def figure_one(shown: list[Shown]) -> Figure:
    """Draw images as rows; the image, the lesion's outline and every model's map as columns.

    Args:
        shown: One or more; not all need have the same maps, or a mask.

    Returns:
        The figure; it grows with rows and columns. The outline's column is there if an image has a
        mask.
    """
    models = list(dict.fromkeys((m.arm, m.method) for image in shown for m in image.maps))
    outlined = any(image.mask is not None for image in shown)
    titles = ["image", *["lesion"] * outlined, *(_title(*model) for model in models)]
    truths = [_wrap(f"truth: {image.label}") if image.label else "" for image in shown]
    answers = [_wrap(answer_in_words(m, image.label)) for image in shown for m in image.maps]
    figure, grid = _grid(len(shown), len(titles), _room(truths), _room(titles), _room(answers))
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, pad=3, **TEXT)
    for row, image, truth in zip(grid, shown, truths, strict=True):
        row[0].set_ylabel(truth, **TEXT)
        row[0].imshow(in_color(image.pixels))
        if outlined:
            _draw_lesion(row[1], image)
        found = {(m.arm, m.method): m for m in image.maps}
        for axes, model in zip(row[1 + outlined :], models, strict=True):
            if model in found:
                _draw_map(axes, image, found[model])
    return figure


def write_figure_one(shown: list[Shown], folder: Path) -> list[Path]:
    """Write figure1.png (300 dpi) and figure1.pdf, the same bytes for the same input.

    Args:
        shown: One or more.
        folder: Made if it is not there.

    Returns:
        The paths.
    """
    figure = figure_one(shown)
    paths = [folder / "figure1.png", folder / "figure1.pdf"]
    for path in paths:
        # Publishers ask for TrueType (42) in place of matplotlib's Type 3 fonts.
        with replacing(path) as temporary, matplotlib.rc_context({"pdf.fonttype": 42}):
            metadata = {"CreationDate": None} if path.suffix == ".pdf" else None
            figure.savefig(temporary, dpi=300, metadata=metadata)
    return paths


def overlay(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A map in color over the image in gray.

    Args:
        pixels: uint8 (height, width, 1 or 3).
        values: float32 (h, w), nonnegative; shown relative to their largest.

    Returns:
        float (height, width, 3) in [0, 1].
    """
    height, width = pixels.shape[:2]
    relative = values / values.max() if values.any() else values
    fine = Image.fromarray(relative.astype(np.float32)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    heat = np.asarray(fine).clip(0, 1)
    gray = np.asarray(Image.fromarray(in_color(pixels)).convert("L")) / 255
    opacity = STRENGTH * heat[..., None]
    return np.asarray((1 - opacity) * gray[..., None] + opacity * COLORS(heat)[..., :3])


def kept_patches(pixels: np.ndarray, values: np.ndarray, mass: float = MASS) -> np.ndarray:
    """The image, dark but for the fewest patches that hold a share of the attention.

    Args:
        pixels: uint8 (height, width, 1 or 3).
        values: float32 (h, w), nonnegative.
        mass: The share, in [0, 1].

    Returns:
        float (height, width, 3) in [0, 1].
    """
    height, width = pixels.shape[:2]
    patches = Image.fromarray(top_mass(values, mass).astype(np.uint8))
    kept = np.asarray(patches.resize((width, height), Image.Resampling.NEAREST)) > 0
    return in_color(pixels) / 255 * np.where(kept, 1, DIM)[..., None]


def outline(mask: np.ndarray) -> list[np.ndarray]:
    """The borders of a mask's parts and holes.

    Args:
        mask: bool (height, width).

    Returns:
        Closed lines, float (points, 2) each, x before y, in pixels: 0 is the middle of the first.
    """
    framed = np.pad(mask, 1).astype(float)  # closes the line where a lesion touches the border
    return [np.asarray(line) - 1 for line in contour_generator(z=framed).lines(0.5)]


def in_color(pixels: np.ndarray) -> np.ndarray:
    """Pixels (height, width, 1 or 3) as (height, width, 3)."""
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def answer_in_words(found: ShownMap, label: str) -> str:
    """Such as `wrong: says nevus, 0.83`; nothing is wrong where the label is unknown."""
    words = f"says {found.answer}, {found.probability:.2f}"
    return f"wrong: {words}" if is_wrong(found, label) else words


def is_wrong(found: ShownMap, label: str) -> bool:
    """Whether the model's answer is not the label."""
    return label not in ("", found.answer)


def _grid(
    rows: int, columns: int, left: float, top: float, below: float
) -> tuple[Figure, np.ndarray]:
    """Square axes, with room in inches left of them, above the first row and below each."""
    step, line = SIDE + GAP, SIDE + below
    width, height = left + columns * step, top + rows * line
    figure = Figure(figsize=(width, height))
    grid = np.empty((rows, columns), dtype=object)
    for row, column in np.ndindex(rows, columns):
        x, y = left + column * step, height - top - row * line - SIDE
        axes = figure.add_axes((x / width, y / height, SIDE / width, SIDE / height))
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        grid[row, column] = axes
    return figure, grid


def _room(texts: list[str]) -> float:
    """Inches for the longest of several texts."""
    return MARGIN + LINE * max((text.count("\n") + 1 for text in texts if text), default=0)


def _draw_lesion(axes: Axes, image: Shown) -> None:
    if image.mask is None:
        axes.text(0.5, 0.5, "no mask", ha="center", va="center", **TEXT)
        return
    axes.imshow(in_color(image.pixels))
    for x, y in (line.T for line in outline(image.mask)):
        # White between black dashes is seen on any ground.
        axes.plot(x, y, color="white", linewidth=1)
        axes.plot(x, y, color="black", linewidth=1, linestyle=(0, (3, 3)))


def _draw_map(axes: Axes, image: Shown, found: ShownMap) -> None:
    draw = kept_patches if found.method == "attention" else overlay
    axes.imshow(draw(image.pixels, found.values))
    axes.set_xlabel(
        _wrap(answer_in_words(found, image.label)),
        color=MISTAKE if is_wrong(found, image.label) else "black",
        labelpad=2,
        **TEXT,
    )


def _title(arm: str, method: str) -> str:
    backbone, _, initialization = arm.partition(" / ")
    words = method_in_words(method)
    words += f", top {MASS:.0%}" if method == "attention" else ""
    return "\n".join(_wrap(line) for line in (backbone, initialization, words) if line)


def _wrap(text: str) -> str:
    return textwrap.fill(text, CHARACTERS)
