"""Seconds, memory and page of `vitrial data audit` on tables that are large or nearly all wrong.

A table of n rows whose files are missing but for 60, one of n rows whose files all exist under
another suffix, and a folder of many classes of 3 images each. Each is checked in a process of its
own, with an empty cache. Seconds are of the processor, which a busy machine does not lengthen.

    python benchmarks/data_audit.py [--quick] [--json PATH]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from table import Row, publish

ROWS, CLASSES, PICTURES = (200_000, 20_000), (1_000, 200), 60
"""Of the whole benchmark, and of the quick one."""
COMMAND = "from vitrial.cli import app; app()"


def main(
    quick: Annotated[
        bool, typer.Option(help="A tenth of the rows, a fifth of the classes.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Where the rows are written.")] = None,
) -> None:
    """Check each data set, and print what it took."""
    n, classes = ROWS[quick], CLASSES[quick]
    cases: dict[str, tuple[str, Callable[[Path], None]]] = {
        f"{n:,} rows, files missing": ("csv:t.csv", lambda root: _table(root, n, ".png")),
        f"{n:,} rows, another suffix": ("csv:t.csv", lambda root: _renamed(root, n)),
        f"{classes:,} classes": ("folder", lambda root: _folder(root, classes)),
    }
    rows = []
    for name, (source, write) in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "data")
            root.mkdir()
            write(root)
            seconds, megabytes = _run(source, root, Path(folder))
            page = Path(folder, "out", "index.html").stat().st_size / 1e6
        rows += [
            Row(f"{name}: processor time", seconds, "s"),
            Row(f"{name}: peak of memory", megabytes, "MB"),
            Row(f"{name}: page", page, "MB"),
        ]
    publish("vitrial data audit", rows, json)


def _run(source: str, root: Path, folder: Path) -> tuple[float, float]:
    """Seconds of processor time and peak of memory in megabytes."""
    arguments = ["data", "check", source, "--root", root, "--out", folder / "out"]
    command = [sys.executable, "-c", COMMAND, *map(str, arguments), "--cache", str(folder / "c")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def _table(root: Path, n: int, suffix: str) -> None:
    """A table of n rows, of which the files of the first 60 exist."""
    for i in range(PICTURES):
        _picture(root / f"{i}.png", i)
    rows = (f"{i}{suffix},{'ab'[i % 2]}\n" for i in range(n))
    (root / "t.csv").write_text("image,label\n" + "".join(rows))


def _renamed(root: Path, n: int) -> None:
    """A table of n rows, whose files all exist, but for their suffix."""
    _table(root, n, ".jpg")
    for i in range(PICTURES, n):
        (root / f"{i}.png").touch()


def _folder(root: Path, classes: int) -> None:
    for c in range(classes):
        (root / f"class {c}").mkdir()
        for k in range(3):
            _picture(root / f"class {c}" / f"{k}.png", 3 * c + k)


def _picture(path: Path, seed: int) -> None:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(path)


if __name__ == "__main__":
    typer.run(main)
