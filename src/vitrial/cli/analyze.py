"""The command of the secondary analyses."""

from __future__ import annotations

from typing import Annotated

import typer

from vitrial.cli.opening import open_study
from vitrial.cli.options import StudyFolder
from vitrial.cli.sentences import out_console, sentences


def analyze(
    study: StudyFolder,
    subgroup: Annotated[
        list[str] | None,
        typer.Option(help="A column of the manifest, such as sex or age; repeat the option."),
    ] = None,
    specificity: Annotated[
        float | None,
        typer.Option(
            help="The specificity that the operating point must reach on validation.",
            show_default="0.9",
        ),
    ] = None,
    sensitivity: Annotated[
        float | None, typer.Option(help="The same for sensitivity, instead of specificity.")
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="The class of operating point and net benefit.",
            show_default="the second of two",
        ),
    ] = None,
    runs: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Two runs for DeLong's and McNemar's tests, named as in `vitrial status`."
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="terminal, markdown or latex; CSVs are always written.")
    ] = "terminal",
) -> None:
    """Look beyond the endpoint: calibration, operating point, subgroups, patients. Exploratory."""
    with sentences():
        from vitrial.errors import VitrialError
        from vitrial.report.secondary import FORMS, render
        from vitrial.store.analyses import Request, analyze, write_analyses

        if form not in FORMS:
            raise VitrialError(f"'{form}' is not a format: choose {', '.join(FORMS)}.")
        if specificity is not None and sensitivity is not None:
            raise VitrialError("Give --specificity or --sensitivity, not both: one follows.")
        level = sensitivity if specificity is None else specificity
        request = Request(
            subgroups=tuple(subgroup or ()),
            positive=positive,
            required="specificity" if sensitivity is None else "sensitivity",
            level=0.9 if level is None else level,
            two_runs=runs,
        )
        loaded = open_study(study)
        found = analyze(loaded, request)
        folder = write_analyses(loaded, found)
        for shown in render(found, form):
            wrapped = form == "terminal"  # other texts are for files
            out_console.print(shown, soft_wrap=not wrapped, markup=False, highlight=False)
        out_console.print(f"Tables: {folder.resolve()}", soft_wrap=True, highlight=False)
