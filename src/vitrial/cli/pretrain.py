"""The command that trains without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitrial.cli.options import (
    Cache,
    Workers,
)
from vitrial.cli.sentences import out_console, sentences


def pretrain(
    data: Annotated[Path, typer.Option(help="A folder or .zip of images; no labels are read.")],
    out: Annotated[Path, typer.Option(help="The folder for the weights.")],
    backbone: Annotated[str, typer.Option(help="A timm model name.")] = "deit_small_patch16_224",
    method: Annotated[str, typer.Option(help="A method, such as dino or byol.")] = "dino",
    start: Annotated[
        str, typer.Option(help="Weights to start from: random, imagenet, timm:TAG or file:PATH.")
    ] = "random",
    epochs: Annotated[int, typer.Option(min=1)] = 100,
    batch_size: Annotated[int, typer.Option(min=2)] = 64,
    crop: Annotated[
        int, typer.Option(help="Side of the large views; small ones have 3/7 of it.", min=32)
    ] = 224,
    seed: int = 0,
    cache: Cache = None,
    workers: Workers = None,
) -> None:
    """Train a backbone on images without labels, and write weights that timm loads."""
    with sentences():
        from vitrial.study.pretrain import pretrain_folder, simple_recipe

        arm, recipe, image, augment = simple_recipe(
            backbone, start, method, epochs, batch_size, crop
        )
        weights = pretrain_folder(
            data,
            arm,
            recipe,
            out,
            image=image,
            augment=augment,
            seed=seed,
            cache=cache,
            workers=workers,
        )
        out_console.print(f"Weights: {weights}", soft_wrap=True, highlight=False)
