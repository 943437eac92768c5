"""What a training step is said to take of memory at the least, beside what it takes.

Each case is trained for two steps in a process of its own; the growth of its peak resident memory
over what it had before the model was made is what the steps take. A study is refused if the first
figure exceeds what is free, so it must never exceed the second; how far it falls short is what a
study may still run out of.

    python benchmarks/step_memory.py [--quick] [--json PATH]
"""

from __future__ import annotations

import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from table import Row, publish

from vitrial.models.backbone import build_backbone
from vitrial.protocol import Recipe
from vitrial.study.footprint import footprint
from vitrial.train.launch import launch
from vitrial.train.optimizer import build_optimizer
from vitrial.train.step import train_step

Precision = Literal["bf16", "fp32"]
# Backbone, crop, batch size, precision.
QUICK: list[tuple[str, int, int, Precision]] = [
    ("resnet18", 112, 32, "fp32"),
    ("deit_tiny_patch16_224", 112, 32, "fp32"),
    ("deit_tiny_patch16_224", 112, 32, "bf16"),
]
FULL: list[tuple[str, int, int, Precision]] = [
    *QUICK,
    ("resnet50", 224, 8, "fp32"),
    ("resnet50", 224, 8, "bf16"),
    ("deit_small_patch16_224", 224, 16, "fp32"),
    ("deit_small_patch16_224", 224, 16, "bf16"),
    ("convnext_tiny", 224, 8, "fp32"),
    ("swin_tiny_patch4_window7_224", 224, 8, "fp32"),
    ("xcit_nano_12_p16_224", 224, 32, "fp32"),
    ("efficientnet_b0", 224, 16, "fp32"),
]
CLASSES = 7


def least_megabytes(name: str, crop: int, batch_size: int, precision: Precision) -> float:
    """What vitrial says before a run."""
    return footprint(name, Recipe(batch_size=batch_size, precision=precision), 3, crop).step / 1e6


def taken_megabytes(name: str, crop: int, batch_size: int, precision: Precision) -> float:
    """Growth of this process's peak resident memory by two steps."""
    fabric = launch(precision)
    before = peak()
    model = build_backbone(name, CLASSES, 3, crop).to(memory_format=torch.channels_last).train()
    network, optimizer = fabric.setup(model, build_optimizer(model, "adam", 1e-4, 1e-5))
    inputs = torch.rand(batch_size, 3, crop, crop)
    targets = torch.arange(batch_size) % CLASSES
    for _ in range(2):
        train_step(network, optimizer, inputs, targets, None, 1.0, fabric)
    return peak() - before


def peak() -> float:
    """Megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main(
    quick: Annotated[bool, typer.Option(help="Fewer backbones.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Compare both figures."""
    rows = []
    for case in QUICK if quick else FULL:
        figures = []
        for measure in (least_megabytes, taken_megabytes):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                figures.append(process.submit(measure, *case).result())
        said, taken = figures
        title = f"{case[0]}, {case[1]} px, {case[2]} images, {case[3]}"
        rows.append(Row(title, taken, "MB"))
        rows.append(Row("said before", said, "MB", "taken", said / taken, 1.0, said <= taken))
    publish("Memory of a training step", rows, json)


if __name__ == "__main__":
    typer.run(main)
