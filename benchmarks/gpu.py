"""Training on a GPU: images per second end to end, beside the model's own ceiling.

    python benchmarks/gpu.py --root HAM10000 [--compiled] [--json PATH]

On the 10,015 images of HAM10000, in bf16 at 224 pixels. End to end is an epoch of
`vitrial.train.fit.train_epoch`, from the pixel cache to the optimizer's step, with the images in
the GPU's memory and, where they would not fit, copied ahead of their use. The ceiling is the same
steps on one batch that is augmented already; timm is the same steps on the batches of timm's own
loader, with 16 processes that decode and augment files. All take turns. Steps are launched kernel
by kernel (eager) or replayed as CUDA graphs, as vitrial does (graphs); `--compiled` adds those of a
model with `recipe.compile`, whose first epoch says what compilation takes.

Published, for comparison: ResNet50 2,470 images/s on one A100 (NVIDIA DeepLearningExamples, mixed
precision); a ViT of 22 million parameters on an H100 2,305 images/s eager and 7,716 compiled.
"""

from __future__ import annotations

import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from table import Row, median_seconds, publish
from timm.data import create_dataset, create_loader

from vitrial.data import on_device
from vitrial.data.prepared import Prepared, prepare_data
from vitrial.data.sources.ham10000 import Ham10000Data
from vitrial.models.backbone import build_backbone
from vitrial.protocol import Arm, Augment, Image, LocalViews, Recipe, Split
from vitrial.seeds import generator_of
from vitrial.study.selfsupervise import started_siamese
from vitrial.train.fit import Training, train_epoch, training_views
from vitrial.train.graphs import graphs_for
from vitrial.train.launch import launch
from vitrial.train.optimizer import build_optimizer
from vitrial.train.selfsupervised.methods.dino.recipe import Dino
from vitrial.train.selfsupervised.multicrop import multicrop
from vitrial.train.selfsupervised.pretrain import Pretraining, pretrain_step
from vitrial.train.step import train_step

BACKBONES = ("resnet50", "deit_small_patch16_224")
TARGET, WORKERS = 0.90, 16
AUGMENT = Augment()


def measure(
    backbone: str, data: Prepared, files: Path, batch: int, kind: str, rounds: int
) -> list[Row]:
    """The rows of one backbone, at one batch size, with steps of one kind."""
    recipe = Recipe(batch_size=batch, compile=kind == "compiled")
    training = Training(data, recipe, AUGMENT, "accuracy", data.mean, data.std, 0, workers=4)
    fabric = launch(recipe.precision)
    model: Any = build_backbone(backbone, len(data.classes), 3, AUGMENT.crop)
    model = model.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(model, recipe.optimizer, recipe.base_lr, recipe.weight_decay)
    network, optimizer = fabric.setup(torch.compile(model) if recipe.compile else model, optimizer)
    network.train()
    graphs = graphs_for(optimizer.optimizer, recipe, fabric) if kind == "graphs" else None
    images = data.images_of("train")
    steps = len(images) // batch
    pixels, targets = images[torch.arange(batch).numpy()]
    targets = targets.to(fabric.device)
    inputs = training_views(pixels, training, generator_of("benchmark"), fabric)

    def step(views: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return train_step(network, optimizer, views, labels, None, recipe.clip_norm, fabric)

    def train(batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        for views, labels in batches:
            loss = graphs.take(step, views, labels) if graphs else step(views, labels)
        loss.item()  # waits for the device

    def from_memory() -> None:
        train_epoch(network, optimizer, training, [], fabric, graphs=graphs)

    def copied_ahead() -> None:
        share, on_device.SHARE = on_device.SHARE, 0.0
        on_device.pixels_on.cache_clear()
        from_memory()
        on_device.SHARE = share
        on_device.pixels_on.cache_clear()
        data.images_of("train").on(fabric.device)  # back, apart from what is timed next

    loader = _timm_loader(files, data, batch)
    contenders = {"ceiling": lambda: train([(inputs, targets)] * steps), "end to end": from_memory}
    started = time.perf_counter()
    contenders["ceiling"]()
    first = time.perf_counter() - started
    if kind == "graphs":
        contenders |= {"copied ahead": copied_ahead, "timm": lambda: train(_first(loader, steps))}
    torch.cuda.reset_peak_memory_stats()
    seconds = median_seconds(contenders, rounds)
    memory = torch.cuda.max_memory_allocated() / 2**30
    name = f"{backbone}, {batch}, {kind}"
    rate = {what: steps * batch / s for what, s in seconds.items()}
    best = rate["ceiling"]
    rows = [Row(f"{name}: ceiling", best, "images/s"), Row(f"{name}: memory", memory, "GiB")]
    if kind == "compiled":
        rows.append(Row(f"{name}: first epoch, less a later one", first - seconds["ceiling"], "s"))
    for what, found in list(rate.items())[1:]:
        target = TARGET if what == "end to end" else None
        met = None if target is None else found / best >= target
        rows.append(Row(f"{name}: {what}", found, "images/s", "ceiling", found / best, target, met))
    return rows


def _timm_loader(files: Path, data: Prepared, batch: int) -> Any:
    """The loader of timm, with the crops, flips and color jitter of `Augment`."""
    jitter = AUGMENT.jitter
    assert jitter is not None
    return create_loader(
        create_dataset("", root=str(files)),
        input_size=(3, AUGMENT.crop, AUGMENT.crop),
        batch_size=batch,
        is_training=True,
        scale=AUGMENT.scale,
        ratio=AUGMENT.ratio,
        hflip=AUGMENT.hflip,
        vflip=AUGMENT.vflip,
        color_jitter=(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue),
        interpolation="bilinear",
        mean=data.mean,
        std=data.std,
        num_workers=WORKERS,
        persistent_workers=True,
    )


def _first(batches: Iterable[Any], n: int) -> Iterator[Any]:
    """The first n batches, in the memory format of the model."""
    for _, (views, labels) in zip(range(n), batches, strict=False):
        yield views.contiguous(memory_format=torch.channels_last), labels


def measure_dino(backbone: str, data: Prepared, batch: int, steps: int, rounds: int) -> list[Row]:
    """A DINO step with 2 x 224 + 8 x 96 pixels, beside the same on views in memory."""
    recipe = Dino(batch_size=batch, output_dim=4096, local_views=LocalViews(count=8))
    pretraining = Pretraining(data.without_labels(), recipe, AUGMENT, data.mean, data.std, seed=0)
    fabric = launch(recipe.precision)
    start = build_backbone(backbone, 0, 3, AUGMENT.crop)
    siamese: Any = started_siamese(Arm(backbone=backbone), start, pretraining)
    siamese = siamese.to(memory_format=torch.channels_last)
    optimizer: Any = build_optimizer(siamese, "adamw", 1e-6, 0.04)
    network, optimizer = fabric.setup(siamese, optimizer)
    network.train()
    images = pretraining.images.on(fabric.device) or pretraining.images
    pixels = images[torch.arange(batch).numpy()].to(fabric.device)

    def views() -> list[torch.Tensor]:
        return multicrop(pixels, siamese.views, recipe, AUGMENT, data.mean, data.std, "benchmark")

    def train(end_to_end: bool) -> None:
        for _ in range(steps):
            made = views() if end_to_end else in_memory
            loss = pretrain_step(network, siamese, optimizer, made, 1, 0.996, fabric)["loss"]
        loss.item()

    in_memory = views()
    contenders = {"ceiling": lambda: train(False), "end to end": lambda: train(True)}
    seconds = median_seconds(contenders, rounds)
    rate = {kind: steps * batch / s for kind, s in seconds.items()}
    ratio = rate["end to end"] / rate["ceiling"]
    name = f"{backbone}, DINO, {batch}"
    return [
        Row(f"{name}: views in memory", rate["ceiling"], "images/s"),
        Row(f"{name}: end to end", rate["end to end"], "images/s", "views in memory", ratio,
            TARGET, ratio >= TARGET),
    ]  # fmt: skip


def main(
    root: Annotated[Path, typer.Option(help="The folder of HAM10000.")],
    batch: Annotated[list[int] | None, typer.Option(help="Batch sizes.")] = None,
    rounds: Annotated[int, typer.Option(help="Epochs of each that are timed.")] = 3,
    images: Annotated[int, typer.Option(help="Training images an epoch.")] = 5120,
    compiled: Annotated[bool, typer.Option(help="Measure compiled models too.")] = False,
    cache: Annotated[Path | None, typer.Option(help="Where pixel caches lie.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Compare training from the cache with training on a fixed batch, on one GPU."""
    if not torch.cuda.is_available():
        sys.exit("There is no GPU here: benchmarks/throughput.py measures CPUs.")
    rows: list[Row] = []
    title = (
        f"Training at 224 pixels, bf16, {torch.cuda.get_device_name()}, torch {torch.__version__}"
    )
    with tempfile.TemporaryDirectory() as folder:
        files = _unpacked(root, Path(folder) / "files")
        ham = Ham10000Data(source="ham10000", root=root)
        started = time.perf_counter()
        data = prepare_data(ham, Split(), Image(resize=256), cache or Path(folder) / "cache")
        rows.append(Row("pixel cache and split made", time.perf_counter() - started, "s"))
        data = _first_images(data, images)
        for backbone in BACKBONES:
            for size in batch or (64, 256):
                for kind in ("eager", "graphs", *(["compiled"] if compiled else [])):
                    rows += measure(backbone, data, files, size, kind, rounds)
                    publish(title, rows, json)  # what is measured is kept, whatever comes next
            rows += measure_dino(backbone, data, 64, 20, rounds)
    publish(title, rows, json)


def _unpacked(root: Path, folder: Path) -> Path:
    """HAM10000's files in a folder of one class, for timm's loader."""
    with zipfile.ZipFile(root / "images.zip") as archive:
        archive.extractall(folder / "all")
    return folder


def _first_images(data: Prepared, n: int) -> Prepared:
    """The data set with n training images, so that an epoch has a whole number of batches."""
    training = data.rows_of("train").iloc[:n]
    return Prepared(data.name, training, data.classes, data.cache, data.mean, data.std, [])


if __name__ == "__main__":
    typer.run(main)
