"""What it costs to verify a checkpoint, and the files of a finished run.

A checkpoint of ViT-S's size (22 million parameters, their two moments in AdamW, the best weights)
is written, verified and loaded. PyTorch computes its checksums in any case; the first ratio is what
it would save without. Weights and predictions are verified by their SHA-256.

    python benchmarks/checkpoint.py [--quick] [--json PATH]
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from table import Row, median_seconds, publish
from torch import nn

from vitrial.layout import CHECKPOINT, WEIGHTS
from vitrial.train.checkpoint import (
    check_checkpoint,
    copy_of_weights,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)


def main(
    quick: Annotated[bool, typer.Option(help="A tenth of the parameters.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Time writing, verifying and loading."""
    side = 1485 if not quick else 470  # 10 layers: 22 and 2.2 million parameters
    model = nn.Sequential(*(nn.Linear(side, side) for _ in range(10)))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(2, side)).sum().backward()
    optimizer.step()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments: tuple[Any, ...] = (folder, model, optimizer, [], 0, copy_of_weights(model))

        def save_unsummed() -> None:
            torch.serialization.set_crc32_options(False)
            save_checkpoint(*arguments)
            torch.serialization.set_crc32_options(True)

        def digest() -> str:
            with (folder / WEIGHTS).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        save_weights(folder / WEIGHTS, copy_of_weights(model))
        seconds = median_seconds(
            {
                "write without checksums": save_unsummed,
                "write a checkpoint": lambda: save_checkpoint(*arguments),
                "verify it": lambda: check_checkpoint(folder / CHECKPOINT, 0, ""),
                "load it": lambda: load_checkpoint(folder, model, optimizer),
                "verify the weights": digest,
            },
            rounds=3 if quick else 5,
        )
        size = (folder / CHECKPOINT).stat().st_size / 1e6
    rows = [Row("checkpoint", size, "MB")]
    against = {"write a checkpoint": "write without checksums", "verify it": "load it"}
    for what, value in seconds.items():
        other = against.get(what)
        ratio = None if other is None else value / seconds[other]
        rows.append(Row(what, value, "s", other, ratio))
    publish("Checksums of checkpoints and weights", rows, json)


if __name__ == "__main__":
    typer.run(main)
