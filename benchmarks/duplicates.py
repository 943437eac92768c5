"""What is found of copies, what is taken for one, and the time and memory that it takes.

Real and synthetic pictures of a kind, each set with altered copies planted in it: of how many pairs
of different patients does the program say that they are the same picture, and how many of the
copies does it find? PneumoniaMNIST and HAM10000 are looked for in `--data`; what is not there is
left out. Then seconds and memory among n pictures of a pixel cache that is written here: soft
blobs of color, no two alike but for 100 copies that were made paler.

    python benchmarks/duplicates.py [--data FOLDER] [--figure PNG] [--quick] [--json PATH]
"""

from __future__ import annotations

import csv
import io
import random
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import typer
from alterations import ALTERATIONS
from PIL import Image
from scipy.ndimage import zoom
from table import Row, publish

from vitrial.data.audit.duplicates import find_duplicates, links
from vitrial.data.audit.sketches import sketch
from vitrial.data.cache import PixelCache
from vitrial.data.cache.format import CHECKSUM, PIXELS, seal, shard_path, write_shard
from vitrial.data.sources import load_dataset
from vitrial.data.sources.phantom import PhantomData

SIDE, BLOBS, COPIES = 256, 8, 100
CACHED = 128
"""Side of the pictures among which false alarms and recall are counted."""
LOOKED_AT = 0.2
"""Least resemblance that the figure shows."""
SHARED = Path(__file__).parents[2] / "shared" / "data"
Pictures = tuple[list[Image.Image], list[str]]
"""Pictures, L or RGB, and the patient or lesion of each."""


def pneumonia(data: Path, n: int) -> Pictures:
    """Chest X-rays of children, 28 x 28 pixels."""
    (path,) = (data / "pneumoniamnist").glob("*.npz")
    with np.load(path) as arrays:
        images = np.concatenate([arrays[f"{split}_images"] for split in ("train", "val", "test")])
    return [Image.fromarray(image) for image in images[:n]], [str(i) for i in range(n)]


def dermoscopy(data: Path, n: int, side: int | None) -> Pictures:
    """HAM10000, its pictures made square unless `side` is None."""
    folder = data / "ham10000"
    with (folder / "HAM10000_metadata.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["image_id"])
    rows = random.Random(0).sample(rows, n)
    pictures = []
    with zipfile.ZipFile(folder / "images.zip") as archive:
        paths = {Path(name).stem: name for name in archive.namelist()}
        for row in rows:
            picture = Image.open(io.BytesIO(archive.read(paths[row["image_id"]]))).convert("RGB")
            pictures.append(
                picture.resize((side, side), Image.Resampling.BILINEAR) if side else picture
            )
    return pictures, [row["lesion_id"] for row in rows]


def phantoms(task: Literal["fundus", "mammogram"], n: int) -> Pictures:
    """Synthetic pictures of 128 pixels."""
    data = PhantomData(source="phantom", task=task, patients=n, size=128)
    dataset = load_dataset(data)
    pictures: list[Image.Image] = []
    for name in dataset.manifest["image"][:n]:
        picture = Image.open(io.BytesIO(dataset.reader.read(name)))
        in_8_bits = picture.mode in ("L", "RGB")
        levels = np.asarray(picture) if in_8_bits else np.asarray(picture) // 256
        pictures.append(Image.fromarray(levels.astype(np.uint8)))
    return pictures, dataset.manifest["group"][:n].tolist()


def sets_of_pictures(data: Path, quick: bool) -> dict[str, Callable[[], Pictures]]:
    """The sets by name."""
    n = 200 if quick else 1000
    sets: dict[str, Callable[[], Pictures]] = {}
    if (data / "pneumoniamnist").is_dir():
        sets["chest X-rays, 28 px"] = lambda: pneumonia(data, n if quick else 3166)
    if (data / "ham10000").is_dir():
        for side in (28, 64, 128, None):
            name = f"dermoscopy, {side or '200 x 150'} px"
            sets[name] = lambda side=side: dermoscopy(data, 2 * n, side)  # type: ignore[misc]
    sets["fundus phantoms, 128 px"] = lambda: phantoms("fundus", n)
    sets["mammogram phantoms, 128 px"] = lambda: phantoms("mammogram", n)
    return sets


@dataclass(frozen=True)
class Found:
    """What was found in a set.

    Attributes:
        apart: Resemblances of the pairs of different patients that were compared to the end.
        pairs: Number of pairs of different patients.
        copies: Resemblance of each planted copy with its original, by alteration; 0 if none.
        least: Resemblance that is needed.
    """

    apart: np.ndarray
    pairs: int
    copies: dict[str, np.ndarray]
    least: float


def look(pictures: list[Image.Image], patients: list[str], each: int) -> Found:
    """Plant `each` copies per alteration, of different pictures, and look for copies."""
    n = len(pictures)
    originals = random.Random(1).sample(range(n), each * len(ALTERATIONS))
    kinds = [kind for kind in ALTERATIONS for _ in range(each)]
    altered = [ALTERATIONS[k](pictures[i]) for k, i in zip(kinds, originals, strict=True)]
    pixels = np.stack([_prepared(picture) for picture in [*pictures, *altered]])
    sketches = sketch(lambda rows: pixels[rows], len(pixels))
    rows = np.flatnonzero(sketches.shows)
    best: dict[tuple[int, int], float] = {}
    for pairs, values in links(sketches, rows, rows, lambda p: p[0] >= 0, LOOKED_AT):
        for pair, value in zip(np.sort(pairs, axis=0).T.tolist(), values.tolist(), strict=True):
            best[tuple(pair)] = max(best.get(tuple(pair), 0), value)
    equal = {pair for pair in best if sketches.digest[pair[0]] == sketches.digest[pair[1]]}
    patient, _ = pd.factorize(pd.Series(patients))
    # A chest X-ray that lies in the set twice is no false alarm.
    apart = [
        value
        for (a, b), value in best.items()
        if b < n and patient[a] != patient[b] and (a, b) not in equal
    ]
    copies = {kind: np.zeros(each) for kind in ALTERATIONS}
    for k, (kind, i) in enumerate(zip(kinds, originals, strict=True)):
        copies[kind][k % each] = best.get((i, n + k), 0)
    sizes = np.bincount(patient)
    return Found(np.array(apart), (n * n - int((sizes**2).sum())) // 2, copies, sketches.least)


def _prepared(picture: Image.Image) -> np.ndarray:
    """As the pixel cache has it: uint8 (CACHED, CACHED, 1)."""
    square = picture.convert("L").resize((CACHED, CACHED), Image.Resampling.BILINEAR)
    return np.asarray(square)[..., None]


def rows_of(name: str, found: Found) -> list[Row]:
    """False alarms and recall of one set."""
    alarms = int((found.apart >= found.least).sum())
    top = float(found.apart.max(initial=0))
    rows = [
        Row(f"{name}: false alarms", 1e6 * alarms / found.pairs, "per million pairs"),
        Row(f"{name}: pairs of different patients", found.pairs, "pairs"),
        Row(f"{name}: most alike of them", top, "resemblance", f"{found.least:.2f} needed"),
    ]
    return rows + [
        Row(f"{name}: {kind}", 100 * float((values >= found.least).mean()), "% found")
        for kind, values in found.copies.items()
    ]


def draw(found: dict[str, Found], path: Path) -> None:
    """Draw how much pictures of different patients, and copies, resemble each other."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(found), sharex=True, figsize=(6, 0.95 * len(found)))
    bins = np.linspace(LOOKED_AT, 1, 81)
    for axis, (name, of) in zip(np.atleast_1d(axes), found.items(), strict=True):
        copies = np.concatenate(list(of.copies.values()))
        for values, color, label in (
            (of.apart, "tab:gray", "different patients"),
            (copies[copies > 0], "tab:blue", "altered copies"),
        ):
            axis.hist(values, bins, color=color, alpha=0.7, label=label)
        axis.axvline(of.least, color="tab:red", linewidth=1)
        axis.set_yscale("log")
        axis.set_ylim(0.5, None)
        axis.set_title(name, fontsize=8, loc="left", pad=2)
        axis.tick_params(labelsize=7)
    axes[0].legend(fontsize=7, loc="upper right", ncols=2, frameon=False)
    axes[-1].set_xlabel(
        "resemblance (pairs compared to the end; the line is what is needed)", fontsize=8
    )
    figure.tight_layout(h_pad=0.3)
    figure.savefig(path, dpi=90)


def write_cache(folder: Path, n: int) -> None:
    """Write a cache of n pictures, the last `COPIES` of them copies of the first."""
    shape = (SIDE, SIDE, 3)
    shard_path(folder, 0).mkdir()
    # Written piece by piece: a child's peak of memory starts at its parent's.
    checksums = write_shard(shard_path(folder, 0) / PIXELS, pictures(n), shape)
    name = [f"{row}.png" for row in range(n)]
    index = pd.DataFrame({"image": name, "sha256": name, "bytes": 0})
    index = index.assign(width=SIDE, height=SIDE, mode="RGB")
    index[CHECKSUM] = np.array(checksums, np.uint64)
    seal(folder, index, [n], shape, {})


def pictures(n: int) -> Iterator[np.ndarray]:
    """Pictures of blobs, the last `COPIES` of them darker copies of the first."""
    for row in range(n):
        copied = row >= n - COPIES
        seed = row - n + COPIES if copied else row
        coarse = np.random.default_rng(seed).random((BLOBS, BLOBS, 3))
        picture = 255 * zoom(coarse, (SIDE // BLOBS, SIDE // BLOBS, 1), order=1)
        yield (0.7 * picture + 20 if copied else picture).astype(np.uint8)


def measure(folder: Path) -> tuple[float, float, int]:
    """Seconds, megabytes of memory beyond those at the start, and pairs found."""
    cache = PixelCache(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = find_duplicates(cache)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seconds, (peak - before) / 1e3, len(found)


def time_and_memory(sizes: tuple[int, ...]) -> list[Row]:
    """Find the copies in caches of growing size."""
    rows = []
    for n in sizes:
        with (
            tempfile.TemporaryDirectory() as folder,
            ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process,
        ):
            write_cache(Path(folder), n)
            seconds, megabytes, found = process.submit(measure, Path(folder)).result()
        rows += [
            Row(f"{n:,} pictures, time", seconds, "s"),
            Row(f"{n:,} pictures, memory", megabytes, "MB"),
            Row(f"{n:,} pictures, copies", found, "pairs", f"{COPIES} planted", found / COPIES),
        ]
    return rows


def main(
    data: Annotated[Path, typer.Option(help="Folder of pneumoniamnist/ and ham10000/.")] = SHARED,
    full: Annotated[bool, typer.Option(help="100,000 pictures too: 20 GB of disk.")] = False,
    quick: Annotated[bool, typer.Option(help="Fewer pictures.")] = False,
    figure: Annotated[Path | None, typer.Option(help="Draw the resemblances here.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Count false alarms and copies found, and measure time and memory."""
    for name in ("pneumoniamnist", "ham10000"):
        if not (data / name).is_dir():
            print(f"{name} is not in {data}: left out.")
    # First: a child's peak of memory starts at its parent's.
    rows = time_and_memory((1000,) if quick else (573, 10_000, 100_000)[: 2 + full])
    found = {}
    for name, pictures in sets_of_pictures(data, quick).items():
        found[name] = look(*pictures(), each=5 if quick else 40)
        rows += rows_of(name, found[name])
        print(f"{name}: done", flush=True)
    if figure:
        draw(found, figure)
    publish(f"Finding copies at {CACHED} px; time at {SIDE} px", rows, json)


if __name__ == "__main__":
    typer.run(main)
