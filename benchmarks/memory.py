"""Peak resident memory of training beside the size of the pixel cache.

The same images are prepared small and large; each size is trained on for an epoch in a process of
its own, so that the peaks are its own. Memory must not grow with the cache, which may be larger
than it.

    python benchmarks/memory.py [--root HAM10000] [--quick] [--json PATH]
"""

from __future__ import annotations

import math
import resource
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from table import Row, publish

from vitrial.data.prepared import prepare_data
from vitrial.data.sources.ham10000 import Ham10000Data
from vitrial.data.sources.phantom import PhantomData
from vitrial.models.backbone import build_backbone
from vitrial.protocol import Augment, Data, Image, Recipe, Split
from vitrial.train.fit import Training, fit
from vitrial.train.launch import launch

SIDES = (128, 512)
AUGMENT, RECIPE = Augment(crop=64), Recipe(batch_size=32, epochs=1)
TOLERANCE = 1.15  # a batch of larger images is itself larger


def cache_megabytes(data: Data, side: int, folder: Path) -> float:
    """Prepare a data set; the size of its cache."""
    prepared = prepare_data(data, Split(), Image(resize=side), folder)
    return math.prod(prepared.cache.shape) / 1e6


def peak_megabytes(data: Data, side: int, folder: Path) -> float:
    """Train on a prepared data set for an epoch; this process's peak resident memory."""
    prepared = prepare_data(data, Split(), Image(resize=side), folder)
    training = Training(prepared, RECIPE, AUGMENT, "accuracy", prepared.mean, prepared.std, seed=0)
    model = build_backbone("resnet10t", len(prepared.classes), 3, AUGMENT.crop)
    fit(model, training, folder / f"run-{side}", launch(RECIPE.precision))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main(
    root: Annotated[Path | None, typer.Option(help="HAM10000; phantoms if left out.")] = None,
    quick: Annotated[bool, typer.Option(help="Fewer images.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Train on caches of two sizes."""
    data: Data = PhantomData(source="phantom", patients=60 if quick else 400, size=64)
    if root is not None:
        data = Ham10000Data(source="ham10000", root=root, limit=200 if quick else 1500)
    caches: list[float] = []
    peaks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for side in SIDES:
            for measure, figures in ((cache_megabytes, caches), (peak_megabytes, peaks)):
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                    figures.append(process.submit(measure, data, side, Path(folder)).result())
    small = f"training at {SIDES[0]} px"
    ratio = peaks[1] / peaks[0]
    publish(f"Peak resident memory of training, {data.source}", [
        Row(f"cache at {SIDES[0]} px", caches[0], "MB"),
        Row(small, peaks[0], "MB"),
        Row(f"cache at {SIDES[1]} px", caches[1], "MB", f"cache at {SIDES[0]} px",
            caches[1] / caches[0]),
        Row(f"training at {SIDES[1]} px", peaks[1], "MB", small, ratio, TOLERANCE,
            ratio <= TOLERANCE),
    ], json)  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
