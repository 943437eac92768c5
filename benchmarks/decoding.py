"""What decoding JPEGs at a reduced size changes, and what it gains.

Pictures with the structure of photographs, as JPEGs of three qualities with and without subsampled
colors, are decoded whole and at one to four times the target at least, as libjpeg can, and resized.
The differences of these pixels stand beside two that nobody minds: of saving the picture once more
at quality 95, and of resizing by a bicubic filter rather than a bilinear one. Hardest are 4,096 and
2,048 pixels: exactly twice 256 are left of them, of 8 in a row one or two.

    python benchmarks/decoding.py [--root HAM10000] [--worst PNG] [--quick] [--json PATH]
"""

from __future__ import annotations

import io
import itertools
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from photographs import HAM10000, Size, jpeg, photographs
from PIL import Image as Picture
from table import Row, median_seconds, publish

from vitrial.data.io.decode import DRAFT

SIZES = ((4096, 4096), (3000, 2000), (2048, 2048), (2000, 2000), (1024, 768), (600, 450))
SIDES = (256, 224)
QUALITIES, SUBSAMPLINGS = (75, 90, 95), ("4:2:0", "4:4:4")
FACTORS = (1, 2, 3, 4)
AGAIN, BICUBIC = "saved once more", "bicubic filter"
LEVELS = np.arange(256)

Pictures = dict[str, list[Picture.Image]]
"""By kind."""
Counts = dict[tuple[int, str], np.ndarray]
"""How many values differ by 0 to 255 gray levels, by side and by what made the difference."""


def opened(content: bytes, factor: int | None = None, side: int = 0) -> Picture.Image:
    """A JPEG decoded whole, or at `factor` times the side at least."""
    picture = Picture.open(io.BytesIO(content))
    if factor is not None:
        picture.draft(None, (factor * side, factor * side))
    picture.load()
    return picture


def resized(
    picture: Picture.Image, side: int, by: Picture.Resampling = Picture.Resampling.BILINEAR
) -> np.ndarray:
    """Pixels int16 (side, side, 3)."""
    return np.asarray(picture.resize((side, side), by), np.int16)


def factors(size: Size, side: int) -> list[int]:
    """Those with which pictures of this size shrink while they are decoded."""
    blank = jpeg(Picture.new("RGB", size))
    return [factor for factor in FACTORS if opened(blank, factor, side).size != size]


def compare(size: Size, pictures: Pictures, worst: Worst) -> Counts:
    """The differences of pictures of a size."""
    counts: Counts = defaultdict(lambda: np.zeros(256, np.int64))
    for kind, quality, subsampling in itertools.product(pictures, QUALITIES, SUBSAMPLINGS):
        for picture in pictures[kind]:
            content = jpeg(picture, quality, subsampling)
            whole = opened(content)
            again = opened(jpeg(whole, 95, subsampling))
            for side in SIDES:
                best = resized(whole, side)
                others = {
                    f"{factor}x": resized(opened(content, factor, side), side)
                    for factor in factors(size, side)
                }
                others[AGAIN] = resized(again, side)
                others[BICUBIC] = resized(whole, side, Picture.Resampling.BICUBIC)
                for name, pixels in others.items():
                    difference = np.abs(pixels - best).ravel()
                    counts[side, name] += np.bincount(difference, minlength=256)
                if f"{DRAFT}x" in others:
                    words = f"{kind}, {size[0]} x {size[1]} to {side}, {quality} {subsampling}"
                    worst.show(words, best, others[f"{DRAFT}x"])
    return counts


class Worst:
    """The picture in which a value differs most, of those shown."""

    def __init__(self) -> None:
        self.most, self.words, self.pair = -1, "", (np.zeros(0), np.zeros(0))

    def show(self, words: str, whole: np.ndarray, pixels: np.ndarray) -> None:
        """Keep a picture, decoded whole and as vitrial does, if none before differs as much."""
        most = int(np.abs(whole - pixels).max())
        if most > self.most:
            self.most, self.words, self.pair = most, words, (whole, pixels)

    def save(self, path: Path) -> None:
        """Decoded whole, as vitrial does, and the difference, 8 times as strong."""
        whole, pixels = self.pair
        strong = (128 + 8 * (pixels - whole)).clip(0, 255)
        panels = np.concatenate([whole, pixels, strong], axis=1).astype(np.uint8)
        Picture.fromarray(panels).save(path)
        print(f"{path}: {self.words}, up to {self.most} gray levels")


def figures(counts: np.ndarray) -> dict[str, tuple[float, str]]:
    """Mean, 99.9th percentile and maximum of absolute differences, and PSNR, with units."""
    n, unit = counts.sum(), "gray levels"
    squared = counts @ LEVELS**2 / n
    return {
        "mean": (counts @ LEVELS / n, unit),
        "99.9th percentile": (float(np.searchsorted(counts.cumsum(), 0.999 * n)), unit),
        "maximum": (float(counts.nonzero()[0].max()), unit),
        "PSNR": (10 * np.log10(255**2 / squared) if squared else np.inf, "dB"),
    }


def rows_of(size: Size, counts: Counts) -> list[Row]:
    rows = []
    for (side, name), found in counts.items():
        again = figures(counts[side, AGAIN])
        for figure, (value, unit) in figures(found).items():
            words = f"{size[0]} x {size[1]} to {side}, {name}: {figure}"
            ratio = None if unit == "dB" else float(value / again[figure][0])
            rows.append(Row(words, float(value), unit, AGAIN if ratio else None, ratio))
    return rows


def speed(size: Size, pictures: Pictures, rounds: int) -> list[Row]:
    """Images a second of one thread, decoded and resized."""
    contents = [jpeg(picture) for group in pictures.values() for picture in group]
    side, words = SIDES[0], f"{size[0]} x {size[1]} to {SIDES[0]}"

    def all_of(factor: int | None) -> None:
        for content in contents:
            resized(opened(content, factor, side), side)

    contenders = {"whole": partial(all_of, None)}
    contenders |= {f"{factor}x": partial(all_of, factor) for factor in factors(size, side)}
    seconds = median_seconds(contenders, rounds)
    return [
        Row(f"{words}, {name}: speed", len(contents) / each, "images/s", "whole",
            seconds["whole"] / each)
        for name, each in seconds.items()
    ]  # fmt: skip


def main(
    root: Annotated[Path, typer.Option(help="HAM10000's folder.")] = HAM10000,
    n: Annotated[int, typer.Option(help="Pictures of a kind and size.")] = 3,
    rounds: Annotated[int, typer.Option(help="Passes that are timed.")] = 7,
    worst: Annotated[
        Path | None, typer.Option(help="Draw the picture that differs most here.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="End within a minute.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Compare pixels and speed of JPEGs decoded whole and at a reduced size."""
    sizes = SIZES[3:] if quick else SIZES
    n, rounds = (1, 3) if quick else (n, rounds)
    rows: list[Row] = []
    shown = Worst()
    for size in sizes:
        pictures = photographs(size, n, root)
        rows += rows_of(size, compare(size, pictures, shown))
        rows += speed(size, pictures, rounds)
    if worst is not None:
        shown.save(worst)
    publish("JPEGs decoded at a reduced size, beside decoded whole", rows, json)


if __name__ == "__main__":
    typer.run(main)
