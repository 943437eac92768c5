"""Seconds and memory to find the copies among n pictures of a pixel cache.

The cache is written here: soft blobs of colour, no two alike but for 100 planted copies that were
made paler. It is read in a process of its own, so that the peak of memory is its own.

    python benchmarks/duplicates.py [--full] [--json PATH]
"""

from __future__ import annotations

import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from scipy.ndimage import zoom
from table import Row, publish
from xxhash import xxh3_64_intdigest

from vitrial.data.cache import CHECKSUM, PixelCache, header_of, seal
from vitrial.data.duplicates import find_duplicates

SIDE, BLOBS, COPIES = 256, 8, 100


def write_cache(folder: Path, n: int) -> None:
    """Write a cache of n pictures, the last `COPIES` of them copies of the first."""
    shape, checksums = (n, SIDE, SIDE, 3), []
    # Written piece by piece: a child's peak of memory starts at its parent's.
    with (folder / "pixels.npy").open("wb") as file:
        file.write(header_of(shape))
        for row in range(n):
            copied = row >= n - COPIES
            seed = row - n + COPIES if copied else row
            coarse = np.random.default_rng(seed).random((BLOBS, BLOBS, 3))
            picture = 255 * zoom(coarse, (SIDE // BLOBS, SIDE // BLOBS, 1), order=1)
            pixels = (0.7 * picture + 20 if copied else picture).astype(np.uint8)
            file.write(pixels.tobytes())
            checksums.append(xxh3_64_intdigest(pixels))
    name = [f"{row}.png" for row in range(n)]
    index = pd.DataFrame({"image": name, "sha256": name, "bytes": 0})
    index = index.assign(width=SIDE, height=SIDE, mode="RGB")
    index[CHECKSUM] = np.array(checksums, np.uint64)
    seal(folder, index, shape, {})


def measure(folder: Path) -> tuple[float, float, int]:
    """Seconds, megabytes of memory beyond those at the start, and pairs found."""
    cache = PixelCache(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = find_duplicates(cache)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seconds, (peak - before) / 1e3, len(found)


def main(
    full: Annotated[bool, typer.Option(help="100,000 pictures too: 20 GB of disk.")] = False,
    quick: Annotated[bool, typer.Option(help="Fewer pictures.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Find the copies in caches of growing size."""
    rows = []
    for n in (1000,) if quick else (573, 10_000, 100_000)[: 2 + full]:
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
    publish(f"Finding copies at {SIDE} px", rows, json)


if __name__ == "__main__":
    typer.run(main)
