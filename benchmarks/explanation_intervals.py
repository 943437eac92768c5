"""How many lesions an interval of a map's measure needs, by real lesions.

Two simple maps (a blob in the middle, and how dark each pixel is) are measured against the
segmentations of HAM10000, image by image. From these, studies of few lesions are drawn over and
over, and the share of 95% intervals that hold the mean over all lesions is counted: by Student's t
over whole lesions, as vitrial's, and by the percentile bootstrap that it had before. Of each number
of lesions the rows give the measure that comes off worst, and the median one, for means and for
differences of two maps.

    python benchmarks/explanation_intervals.py [--root HAM10000] [--quick] [--json PATH]
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from PIL import Image
from table import Row, publish

from vitrial.compare import group_means
from vitrial.explain.measures.localization import MEASURES, center_blob, localization
from vitrial.seeds import draw_names

ROOT = Path(__file__).parents[2] / "shared" / "data" / "ham10000"
GROUPS = (2, 3, 5, 8, 10, 20, 30, 50, 100)
SIDE = 64
RESAMPLES = 300
HELD = 0.89
"""What coverage is asked for of the worst measure: about twice the error that is promised."""


def measured(root: Path, images: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Measures of images by name, differences from the blob's among them, and their lesions."""
    table = pd.read_csv(root / "HAM10000_metadata.csv")
    table = table.iloc[draw_names(table["image_id"].tolist(), images)]
    rows = []
    with (
        zipfile.ZipFile(root / "images.zip") as pictures,
        zipfile.ZipFile(root / "masks.zip") as masks,
    ):
        where = {Path(name).stem: name for name in pictures.namelist()}
        outlined = {Path(name).stem: name for name in masks.namelist()}
        for name in table["image_id"]:
            gray = _square(pictures.read(where[name]))
            mask = _square(masks.read(outlined[f"{name}_segmentation"])) > 127
            maps = {"blob": center_blob(SIDE), "darkness": 255.0 - gray}
            rows.append({
                f"{measure} of {of}": value
                for of, heat in maps.items()
                for measure, value in localization(heat, mask).items()
            })  # fmt: skip
    found = pd.DataFrame(rows)
    known = found.notna().all(axis=1).to_numpy()
    values = {str(name): found[name].to_numpy(float)[known] for name in found}
    for measure in MEASURES:
        blob, darkness = (values[f"{measure} of {of}"] for of in ("blob", "darkness"))
        values[f"{measure} of darkness less blob"] = darkness - blob
    return values, table["lesion_id"].to_numpy()[known]


def _square(content: bytes) -> np.ndarray:
    """The central square of an image in gray, (SIDE, SIDE)."""
    with Image.open(io.BytesIO(content)) as picture:
        side, (width, height) = min(picture.size), picture.size
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)
        return np.asarray(picture.convert("L").resize((SIDE, SIDE), box=box), dtype=float)


def coverage(
    values: np.ndarray, lesions: np.ndarray, count: int, studies: int
) -> tuple[float, float]:
    """The share of intervals that hold the truth, by t and by bootstrap.

    Where all drawn lesions are alike there is no interval by t, which counts for nothing.

    Lesions are drawn with replacement, as if there were as many more like them.
    """
    names, member = np.unique(lesions, return_inverse=True)
    sums, images = np.bincount(member, weights=values), np.bincount(member)
    truth = sums.sum() / images.sum()
    order = np.argsort(member, kind="stable")
    first = np.searchsorted(member[order], np.arange(len(names)))
    random = np.random.default_rng(0)
    by_t, by_bootstrap, none = 0, 0, 0
    for _ in range(studies):
        drawn = random.integers(len(names), size=count)
        rows = np.concatenate([order[first[g] : first[g] + images[g]] for g in drawn])
        found = group_means.mean_over_groups(
            values[None, rows], np.repeat(np.arange(count), images[drawn])
        )
        if np.isnan(found.low):
            none += 1
        else:
            by_t += bool(found.low <= truth <= found.high)
        times = random.multinomial(count, np.full(count, 1 / count), RESAMPLES)
        means = (times @ sums[drawn]) / (times @ images[drawn])
        low, high = np.quantile(means, [0.025, 0.975])
        by_bootstrap += bool(low <= truth <= high)
    return by_t / max(studies - none, 1), by_bootstrap / studies


def main(
    root: Annotated[Path, typer.Option(help="Folder of HAM10000.")] = ROOT,
    quick: Annotated[bool, typer.Option(help="Fewer images and studies.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Count how often intervals of few lesions hold the truth."""
    values, lesions = measured(root, 300 if quick else 4000)
    fewest, group_means.FEWEST_GROUPS = group_means.FEWEST_GROUPS, 2  # which is to be measured
    rows = []
    for count in GROUPS:
        found = {
            name: coverage(of, lesions, count, 40 if quick else 1000) for name, of in values.items()
        }
        for kind in ("means", "differences"):
            of = [
                held for name, held in found.items() if ("less" in name) == (kind == "differences")
            ]
            for place, method in enumerate(("t", "bootstrap")):
                worst, middle = (
                    float(how([held[place] for held in of])) for how in (min, np.median)
                )
                asked = HELD if method == "t" and count >= fewest else None
                met = None if asked is None else worst >= asked
                name = f"{count} lesions, {kind} by {method}"
                rows.append(Row(f"{name}: worst measure", worst, "hold", "all", worst, asked, met))
                rows.append(Row(f"{name}: median measure", middle, "hold", "all", middle))
    publish("Intervals of few lesions: how often they hold the truth", rows, json)


if __name__ == "__main__":
    typer.run(main)
