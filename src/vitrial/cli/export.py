"""The command that carries a model on elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitrial.cli.options import Cache, Overwrite, Root
from vitrial.cli.sentences import out_console, sentences


def export(
    study: Annotated[
        Path, typer.Argument(help="A study's folder, or that of one run or pretraining.")
    ],
    arm: Annotated[
        str | None, typer.Option(help="The arm, as `vitrial table` names it or by its id.")
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="onnx, pt2 (torch.export, which superseded TorchScript), timm, or hub (timm's "
            "folder with a model card); repeat the option.",
            show_default="hub",
        ),
    ] = None,
    repetition: Annotated[
        int | None,
        typer.Option(help="Which run of the arm.", min=1, show_default="the best on validation"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder.", show_default="exports/ARM in the study")
    ] = None,
    root: Root = None,
    cache: Cache = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a trained model for onnxruntime, PyTorch, timm or the Hugging Face Hub, checked."""
    with sentences():
        from vitrial.export.chosen import choose
        from vitrial.export.run import export as write

        chosen = choose(study, arm, repetition, root, cache)
        if chosen.of is not None:
            out_console.print(chosen.of.why, soft_wrap=True, highlight=False, markup=False)
        folder, said = write(chosen, to or ["hub"], out, overwrite)
        for sentence in said:
            out_console.print(sentence, soft_wrap=True, highlight=False, markup=False)
        out_console.print(f"Folder: {folder.resolve()}", soft_wrap=True, highlight=False)
