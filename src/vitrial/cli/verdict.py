"""Commands about what a trial proves: verdict."""

from __future__ import annotations

from typing import Annotated

import typer

from vitrial.cli.opening import open_study
from vitrial.cli.options import StudyFolder
from vitrial.cli.sentences import out_console, sentences


def verdict(
    study: StudyFolder,
    form: Annotated[
        str, typer.Option("--format", help="terminal, csv, markdown or json.")
    ] = "terminal",
) -> None:
    """Say what a study proves of its arms, each registered comparison in a sentence."""
    with sentences():
        from vitrial.compare.sentences import render

        loaded = open_study(study)
        shown = render(loaded.verdict(), loaded.amendments(), form)
        out_console.print(shown, end="", soft_wrap=True, highlight=False, markup=False)
