"""Commands about what a trial proves: verdict, and plan before it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitrial.cli.opening import open_study, print_data_size
from vitrial.cli.options import ProtocolName, Root, StudyFolder
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
        from vitrial.store.data_size import data_size

        loaded = open_study(study)
        shown = render(loaded.verdict(), loaded.amendments(), form)
        out_console.print(shown, end="", soft_wrap=True, highlight=False, markup=False)
        if form == "terminal":
            print_data_size(data_size(loaded.protocol, loaded.finished()))


def plan(
    protocol: ProtocolName,
    root: Root = None,
    study: Annotated[
        Path | None,
        typer.Option(help="An earlier study, whose spread over runs and patients counts."),
    ] = None,
    score: Annotated[
        float | None, typer.Option(help="The endpoint that you expect of the arms.")
    ] = None,
    deviation: Annotated[
        float,
        typer.Option(help="The endpoint's standard deviation over repetitions.", min=0, max=1),
    ] = 0.01,
) -> None:
    """Say what a trial can prove before it is run: its power, and what would raise it."""
    with sentences():
        from vitrial.protocol.file import load_protocol
        from vitrial.study.power import plan_trial

        loaded = load_protocol(protocol, root)
        earlier = open_study(study).verdict() if study is not None else []
        said = plan_trial(loaded, earlier=earlier, score=score, deviation=deviation)
        out_console.print(said, soft_wrap=True, highlight=False, markup=False)
