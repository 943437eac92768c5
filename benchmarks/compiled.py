"""Does `torch.compile` pay for itself within a training? Steps as they are and compiled, in turn.

    python benchmarks/compiled.py [--precision fp32] [--batch 32] [--quick] [--json PATH]

A step is one of `vitrial.train.step.train_step` on a fixed batch in memory. What compiling costs is
what the first compiled step takes beyond a later one; it is paid once for each process. The steps
after which it is won back are those that a training must have to gain from `recipe.compile`.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from table import Row, paired_ratio, publish, seconds_of_rounds

from vitrial.models.backbone import build_backbone
from vitrial.protocol import Recipe
from vitrial.train.launch import computes_bf16, launch
from vitrial.train.optimizer import build_optimizer
from vitrial.train.step import train_step

Precision = Literal["bf16", "fp32"]
BACKBONES = ("resnet50", "deit_small_patch16_224")
CLASSES, SIDE = 7, 224


class Steps:
    """Training steps of a backbone on one batch of noise."""

    def __init__(self, backbone: str, batch: int, precision: Precision, compiled: bool) -> None:
        recipe = Recipe(batch_size=batch, precision=precision)
        self.clip_norm, self.fabric = recipe.clip_norm, launch(precision)
        model = build_backbone(backbone, CLASSES, 3, SIDE).to(memory_format=torch.channels_last)
        network: Any = torch.compile(model) if compiled else model
        optimizer: Any = build_optimizer(
            model, recipe.optimizer, recipe.base_lr, recipe.weight_decay
        )
        self.network, self.optimizer = self.fabric.setup(network, optimizer)
        self.network.train()
        noise = torch.randn(batch, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
        self.inputs = noise.to(self.fabric.device)
        self.targets = torch.arange(batch, device=self.fabric.device) % CLASSES

    def take(self, n: int) -> None:
        """Take so many, and wait for the last."""
        for _ in range(n):
            loss = train_step(
                *(self.network, self.optimizer, self.inputs, self.targets, None),
                *(self.clip_norm, self.fabric),
            )
        loss.item()


def measure(backbone: str, batch: int, precision: Precision, steps: int, rounds: int) -> list[Row]:
    eager = Steps(backbone, batch, precision, compiled=False)
    compiled = Steps(backbone, batch, precision, compiled=True)
    begun = time.perf_counter()
    compiled.take(1)
    first = time.perf_counter() - begun
    contenders = {"eager": lambda: eager.take(steps), "compiled": lambda: compiled.take(steps)}
    times = seconds_of_rounds(contenders, rounds)
    ratio = paired_ratio(times["eager"], times["compiled"])
    of_step = {name: statistics.median(each) / steps for name, each in times.items()}
    cost, gained = first - of_step["compiled"], of_step["eager"] - of_step["compiled"]
    rows = [
        Row(f"{backbone}, as it is", batch / of_step["eager"], "images/s"),
        Row(f"{backbone}, compiled", batch / of_step["compiled"], "images/s", "as it is", ratio),
        Row(f"{backbone}, compilation", cost, "s"),
    ]
    if gained > 0:
        rows.append(Row(f"{backbone}, won back after", cost / gained, "steps"))
    return rows


def main(
    batch: Annotated[int, typer.Option(help="Images a step.")] = 32,
    steps: Annotated[int, typer.Option(help="Steps a round.")] = 3,
    rounds: Annotated[int, typer.Option(help="Rounds of each that are timed.")] = 7,
    precision: Annotated[Precision, typer.Option(help="Of the network.")] = "bf16",
    quick: Annotated[bool, typer.Option(help="End within a few minutes.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Time training steps with and without `torch.compile`."""
    steps, rounds = (1, 2) if quick else (steps, rounds)
    rows = [row for name in BACKBONES for row in measure(name, batch, precision, steps, rounds)]
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    computed = precision if computes_bf16() else "fp32"
    publish(f"torch.compile, batch {batch} at {SIDE} pixels, {computed}, {where}, "
            f"{torch.get_num_threads()} threads", rows, json)  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
