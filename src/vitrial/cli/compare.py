"""The command that compares predictions from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitrial.cli.sentences import out_console, sentences


def compare(
    a: Annotated[
        str, typer.Argument(help="Predictions of the new model: a CSV or Parquet file, or several.")
    ],
    b: Annotated[str, typer.Argument(help="Predictions of the model in use, on the same images.")],
    endpoint: Annotated[str, typer.Option(help="The metric, such as kappa, recall or auc.")],
    margin: Annotated[float, typer.Option(help="Smallest difference that matters.")],
) -> None:
    """Compare two models by predictions from anywhere; a folder or pattern gives repetitions."""
    with sentences():
        from vitrial.compare.files import read_repetitions
        from vitrial.compare.predictions import compare_predictions

        found = compare_predictions(
            read_repetitions(a), read_repetitions(b), endpoint=endpoint, margin=margin
        )
        out_console.print(found.report(Path(a).stem, Path(b).stem), soft_wrap=True, highlight=False)
