"""Epochs per hour from files, beside a pipeline that decodes every image in every epoch.

    python benchmarks/pipeline.py [--quick] [--json PATH]

JPEG files of 600 x 450 and 3,000 x 2,000 pixels are trained on by vitrial, which decodes them once
into its pixel cache, and by the pipeline that most scripts have: PIL and torchvision's transforms,
image by image, in 2 worker processes. Views, network and steps are the same; both take turns. Shown
are a later epoch and the first 20 with what comes before them, and the peak memory of a process
that trains so, with its workers.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import torch
import typer
from PIL import Image as Picture
from table import Row, publish
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from vitrial.data.prepared import Prepared, prepare_data
from vitrial.data.sources.folder import FolderData
from vitrial.models.backbone import build_backbone
from vitrial.protocol import Augment, Image, Recipe, Split
from vitrial.train.fit import Training, train_epoch
from vitrial.train.launch import launch
from vitrial.train.optimizer import build_optimizer
from vitrial.train.step import train_step

SIZES = ((600, 450), (3000, 2000))
EPOCHS = 20
AUGMENT = Augment()


class Files(Dataset[tuple[torch.Tensor, int]]):
    """Views of files by PIL and torchvision."""

    def __init__(self, paths: list[Path], data: Prepared) -> None:
        self.paths, jitter = paths, AUGMENT.jitter
        assert jitter is not None
        self.view = v2.Compose(
            [
                v2.RandomResizedCrop(AUGMENT.crop, AUGMENT.scale, AUGMENT.ratio, antialias=True),
                v2.RandomHorizontalFlip(AUGMENT.hflip),
                v2.RandomVerticalFlip(AUGMENT.vflip),
                v2.RandomApply(
                    [
                        v2.ColorJitter(
                            jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue
                        )
                    ],
                    jitter.p,
                ),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(list(data.mean), list(data.std)),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.view(Picture.open(self.paths[i]).convert("RGB")), i % 2


def measure(backbone: str, size: tuple[int, int], batch: int, steps: int, rounds: int) -> list[Row]:
    """The rows of one size of files."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_files(root / "files", size, batch * steps)
        arguments = (backbone, root, batch, steps)
        found: dict[str, list[tuple[float, ...]]] = {}
        for _ in range(rounds):  # in turn, each in a process of its own
            for name, train in {"vitrial": with_vitrial, "PIL": with_torchvision}.items():
                found.setdefault(name, []).append(_apart(train, *arguments))
    width, height = size
    rows = []
    best: dict[str, np.ndarray] = {name: np.median(each, axis=0) for name, each in found.items()}
    ours, theirs = best["vitrial"], best["PIL"]
    figures = (
        ("a later epoch", 3600 / ours[1], 3600 / theirs[1], "epochs/h"),
        (f"{EPOCHS} epochs with all before", *(3600 * EPOCHS / (before + EPOCHS * epoch)
         for before, epoch, _ in (ours, theirs)), "epochs/h"),
        ("peak memory", ours[2] / 2**20, theirs[2] / 2**20, "MiB"),
    )  # fmt: skip
    for what, mine, other, unit in figures:
        name = f"{width} x {height}: {what}"
        rows.append(Row(f"{name}, PIL and torchvision", other, unit))
        rows.append(Row(f"{name}, vitrial", mine, unit, "PIL and torchvision", mine / other))
    return rows


def write_files(folder: Path, size: tuple[int, int], n: int) -> None:
    """Images with structure, of two classes, n of them for training."""
    rng = np.random.default_rng(0)
    for i in range(round(n / 0.7) + 8):
        coarse = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        picture = Picture.fromarray(coarse).resize(size, Picture.Resampling.BICUBIC)
        path = folder / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=90)


def with_vitrial(backbone: str, root: Path, batch: int, steps: int) -> tuple[float, float]:
    """Seconds before training, and of an epoch."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        data = prepared(root, Path(cache))
        training_data = data.rows_of("train").iloc[: batch * steps]
        data = Prepared(data.name, training_data, data.classes, data.cache, data.mean, data.std, [])
        before = time.perf_counter() - started
        training = Training(
            data, Recipe(batch_size=batch), AUGMENT, "accuracy", data.mean, data.std, seed=0
        )
        network, optimizer, fabric = _network(backbone)
        train_epoch(network, optimizer, training, [], fabric)
        started = time.perf_counter()
        train_epoch(network, optimizer, training, [], fabric)
        return before, time.perf_counter() - started


def with_torchvision(backbone: str, root: Path, batch: int, steps: int) -> tuple[float, float]:
    """Seconds before training, of which it needs none, and of an epoch."""
    paths = sorted((root / "files").rglob("*.jpg"))[: batch * steps]
    data: Any = type("Statistics", (), {"mean": (0.5,) * 3, "std": (0.25,) * 3})
    loader = DataLoader(Files(paths, data), batch, num_workers=2, persistent_workers=True)
    network, optimizer, fabric = _network(backbone)
    recipe, seconds = Recipe(batch_size=batch), 0.0
    for _ in range(2):
        started = time.perf_counter()
        for views, targets in loader:
            views = views.to(fabric.device).contiguous(memory_format=torch.channels_last)
            train_step(network, optimizer, views, targets, None, recipe.clip_norm, fabric)
        seconds = time.perf_counter() - started
    return 0.0, seconds


def prepared(root: Path, cache: Path) -> Prepared:
    """The files as vitrial prepares them."""
    files = FolderData(source="folder", root=root / "files")
    return prepare_data(files, Split(), Image(resize=256), cache)


def _network(backbone: str) -> tuple[Any, Any, Any]:
    recipe = Recipe()
    fabric = launch(recipe.precision)
    model = build_backbone(backbone, 2, 3, AUGMENT.crop).to(memory_format=torch.channels_last)
    optimizer = build_optimizer(model, recipe.optimizer, recipe.base_lr, recipe.weight_decay)
    network, optimizer = fabric.setup(model, optimizer)
    network.train()
    return network, optimizer, fabric


def _apart(train: Callable[..., tuple[float, float]], *arguments: Any) -> tuple[float, ...]:
    """What `train` gives in a process of its own, and the peak memory of it and its workers."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        process, peak = psutil.Process(pool.submit(os.getpid).result()), 0
        result = pool.submit(train, *arguments)
        while wait([result], timeout=0.1).not_done:
            with suppress(psutil.NoSuchProcess):  # a worker that has just ended
                alive = [process, *process.children(recursive=True)]
                peak = max(peak, sum(each.memory_full_info().uss for each in alive))
        return (*result.result(), float(peak))


def main(
    backbone: Annotated[str, typer.Option(help="The name of a timm model.")] = "resnet50",
    batch: Annotated[int, typer.Option(help="Images a step.")] = 32,
    steps: Annotated[int, typer.Option(help="Steps an epoch.")] = 4,
    rounds: Annotated[int, typer.Option(help="Rounds of each.")] = 3,
    quick: Annotated[bool, typer.Option(help="End within a minute or so.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Compare training from the pixel cache with decoding files in every epoch."""
    if quick:
        backbone, batch, steps, rounds = "resnet10t", 8, 2, 1
    rows = [row for size in SIZES for row in measure(backbone, size, batch, steps, rounds)]
    threads = torch.get_num_threads()
    publish(f"{backbone}, batch {batch} at 224 pixels, {threads} threads", rows, json)


if __name__ == "__main__":
    typer.run(main)
