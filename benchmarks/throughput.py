"""Training images per second, end to end, beside the model's own ceiling on a batch in memory.

End to end is an epoch of `vitrial.train.fit.train_epoch`: pixel cache, augmentation,
normalization, forward, backward, clipping, optimizer step. The ceiling is the same steps on one
fixed batch that is augmented already. Both are channels_last and bf16 (float32 on request, and
where the device has no instructions for bf16), and take turns; so does the ceiling in fp32 and
PyTorch's default memory format, which no input pipeline can beat.

    python benchmarks/throughput.py [--precision fp32] [--quick] [--json PATH]
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from table import Row, paired_ratio, publish, seconds_of_rounds

from vitrial.data.prepared import Prepared, prepare_data
from vitrial.data.sources.phantom import PhantomData
from vitrial.models.backbone import build_backbone
from vitrial.protocol import Augment, Image, Recipe, Split
from vitrial.seeds import generator_of
from vitrial.train.fit import (
    Training,
    train_epoch,
    training_views,
)
from vitrial.train.launch import computes_bf16, launch
from vitrial.train.optimizer import build_optimizer
from vitrial.train.step import train_step

Precision = Literal["bf16", "fp32"]
BACKBONES = ("resnet50", "deit_small_patch16_224")
TARGET = 0.95


def measure(
    backbone: str, data: Prepared, batch: int, rounds: int, precision: Precision
) -> list[Row]:
    recipe = Recipe(batch_size=batch, precision=precision)
    training = Training(data, recipe, Augment(), "accuracy", data.mean, data.std, seed=0)
    fabric = launch(recipe.precision)
    model = build_backbone(backbone, len(data.classes), 3, training.augment.crop)
    model = model.to(memory_format=torch.channels_last)
    network, optimizer = fabric.setup(
        model, build_optimizer(model, recipe.optimizer, recipe.base_lr, recipe.weight_decay)
    )
    network.train()

    images = data.images_of("train")
    pixels, targets = images[torch.arange(batch).numpy()]
    inputs = training_views(pixels, training, generator_of("benchmark"), fabric)
    targets = targets.to(fabric.device)
    steps = len(images) // batch

    def end_to_end() -> None:
        train_epoch(network, optimizer, training, [], fabric)

    def ceiling() -> None:
        for _ in range(steps):
            loss = train_step(network, optimizer, inputs, targets, None, recipe.clip_norm, fabric)
        loss.item()  # waits for the device

    plain = launch("fp32")
    plain_model = build_backbone(backbone, len(data.classes), 3, training.augment.crop)
    plain_network, plain_optimizer = plain.setup(
        plain_model,
        build_optimizer(plain_model, recipe.optimizer, recipe.base_lr, recipe.weight_decay),
    )
    plain_inputs = inputs.contiguous()

    def fp32() -> None:
        loss = train_step(
            plain_network, plain_optimizer, plain_inputs, targets, None, recipe.clip_norm, plain
        )
        loss.item()

    contenders = {"end to end": end_to_end, "ceiling": ceiling, "fp32": fp32}
    seconds = seconds_of_rounds(contenders, rounds)
    rate = {
        name: (1 if name == "fp32" else steps) * batch / statistics.median(each)
        for name, each in seconds.items()
    }
    ratio = paired_ratio(seconds["ceiling"], seconds["end to end"])
    gain = rate["end to end"] / rate["fp32"]
    return [
        Row(f"{backbone}, ceiling", rate["ceiling"], "images/s"),
        Row(f"{backbone}, fp32 ceiling", rate["fp32"], "images/s"),
        Row(f"{backbone}, end to end", rate["end to end"], "images/s",
            f"{backbone}, fp32 ceiling", gain),
        Row(f"{backbone}, end to end", rate["end to end"], "images/s",
            f"{backbone}, ceiling", ratio, TARGET, ratio >= TARGET),
    ]  # fmt: skip


def main(
    batch: Annotated[int, typer.Option(help="Images a step.")] = 32,
    steps: Annotated[int, typer.Option(help="Steps an epoch.")] = 3,
    rounds: Annotated[int, typer.Option(help="Epochs of each that are timed.")] = 7,
    precision: Annotated[Precision, typer.Option(help="Of the network.")] = "bf16",
    quick: Annotated[bool, typer.Option(help="End within a minute or so.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Compare training from the cache with training on a fixed batch, at 224 pixels."""
    steps, rounds = (1, 2) if quick else (steps, rounds)
    with tempfile.TemporaryDirectory() as cache:
        phantoms = PhantomData(source="phantom", patients=60 + batch * steps, size=128)
        data = prepare_data(phantoms, Split(), Image(resize=256), Path(cache))
        data = first_training_images(data, batch * steps)
        rows = [row for name in BACKBONES for row in measure(name, data, batch, rounds, precision)]
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    computed = precision if computes_bf16() else "fp32"
    publish(f"Training, batch {batch} at 224 pixels, {computed}, {where}, "
            f"{torch.get_num_threads()} threads", rows, json)  # fmt: skip


def first_training_images(data: Prepared, n: int) -> Prepared:
    """The data set with n training images, so that an epoch has a whole number of batches."""
    training = data.rows_of("train").iloc[:n]
    if len(training) < n:
        raise ValueError(f"expected {n} training images, got {len(training)}")
    return Prepared(data.name, training, data.classes, data.cache, data.mean, data.std, [])


if __name__ == "__main__":
    typer.run(main)
