"""Commands that read a study: status, table, report, explain."""

from __future__ import annotations

from typing import Annotated

import typer

from vitrial.cli.opening import open_study, print_result
from vitrial.cli.options import (
    Cache,
    Root,
    StudyFolder,
)
from vitrial.cli.sentences import out_console, sentences


def status(study: StudyFolder) -> None:
    """Show which runs are done, running, failed and left."""
    with sentences():
        from vitrial.cli.tables import status_table
        from vitrial.spelling import duration
        from vitrial.store.study import stale_runs_sentence
        from vitrial.store.time_left import seconds_left

        loaded = open_study(study)
        status = loaded.status()
        out_console.print(status_table(status))
        for row in status[status["why"] != ""].to_dict("records"):  # paths stay whole
            why = f"{row['name']}: {row['why']}"
            out_console.print(why, soft_wrap=True, highlight=False, markup=False)
        if seconds := seconds_left(loaded):
            out_console.print(f"What is left takes {duration(seconds)}, by the epochs so far.")
        if stale_runs := loaded.stale_runs():
            out_console.print(stale_runs_sentence(stale_runs), highlight=False)


def table(
    study: StudyFolder,
    form: Annotated[
        str, typer.Option("--format", help="terminal, csv, markdown or latex.")
    ] = "terminal",
) -> None:
    """Print the table of a study, recomputed from its predictions."""
    with sentences():
        from vitrial.compare.table import render

        loaded = open_study(study)
        shown = render(loaded.table(), loaded.protocol.endpoint, loaded.caption(), form)
        print(shown, end="") if isinstance(shown, str) else out_console.print(shown)


def explain(
    study: StudyFolder,
    images: Annotated[
        str,
        typer.Option(help="How many test images, `all`, or a file or folder of your own images."),
    ] = "100",
    method: Annotated[
        list[str] | None,
        typer.Option(help="A method; repeat the option.", show_default="all that fit a model"),
    ] = None,
    repetition: Annotated[
        int | None, typer.Option(help="One run of each arm.", min=1, show_default="all")
    ] = None,
    faithful: Annotated[
        bool, typer.Option(help="Measure deletion and insertion too, which takes longest.")
    ] = True,
    root: Root = None,
    cache: Cache = None,
) -> None:
    """Show what each arm looks at, and measure which explanation is right."""
    with sentences():
        from vitrial.explain.explained import read_explained
        from vitrial.explain.images import wanted_images
        from vitrial.explain.run import explain_study
        from vitrial.layout import EXPLANATIONS
        from vitrial.report.explained import print_explanations
        from vitrial.report.figures.figure_one import write_figure_one
        from vitrial.report.page import write_report

        loaded = open_study(study)
        folder = explain_study(
            loaded,
            wanted_images(images),
            methods=method,
            repetition=repetition,
            faithful=faithful,
            root=root,
            cache=cache,
        )
        found = read_explained(folder)
        assert found is not None  # it was written just now
        print_explanations(found, out_console)
        pictures = write_figure_one(found.shown, folder)
        shown = ", ".join(map(str, pictures))
        out_console.print(f"Figure 1: {shown}", soft_wrap=True, highlight=False)
        if folder.name == EXPLANATIONS:
            page = write_report(loaded).resolve()
            out_console.print(f"Report: {page}", soft_wrap=True, highlight=False)


def report(study: StudyFolder) -> None:
    """Write the report of a study, finished or not."""
    with sentences():
        print_result(open_study(study))
