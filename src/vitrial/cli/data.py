"""Commands about data sets: info, audit, names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitrial.cli.options import (
    Cache,
    Overwrite,
    Root,
)
from vitrial.cli.sentences import out_console, report_problems, sentences


def info(
    name: Annotated[
        str | None,
        typer.Argument(help="A data set, such as isic2019 or medmnist:dermamnist."),
    ] = None,
) -> None:
    """Describe a data set: its license, where to get it and how to name it in a protocol."""
    with sentences():
        from vitrial.data.about import describe, titles

        shown = titles() if name is None else describe(name)
        out_console.print(shown, soft_wrap=True, highlight=False, markup=False)


def audit(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A protocol, or a data set in a line: folder, aptos2019, medmnist:dermamnist@64.",
        ),
    ],
    root: Root = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for what is found.", show_default="audits/NAME")
    ] = None,
    cache: Cache = None,
    overwrite: Overwrite = False,
) -> None:
    """Audit a data set before any training; exit with 1 if something in it cannot be used."""
    with sentences():
        from vitrial.data.audit.audit import audit_dataset
        from vitrial.data.sources import load_dataset
        from vitrial.layout import AUDIT_FACTS
        from vitrial.outputs import refuse_foreign
        from vitrial.protocol.one_line import named_data
        from vitrial.report.audit import folder_of, print_summary, write_page

        section, image, split = named_data(data, root)
        dataset = load_dataset(section)
        folder = out or folder_of(dataset.name)
        if not overwrite:
            refuse_foreign(folder, (AUDIT_FACTS,), "audit")
        audit = audit_dataset(dataset, image, cache, split)
        audit.write(folder)
        page = write_page(audit, folder)
        report_problems(audit.problems, out_console, folder / "problems.csv")
        print_summary(audit, out_console)
        out_console.print(f"Page: {page.resolve()}", soft_wrap=True, highlight=False)
        if audit.fatal:
            raise typer.Exit(1)


def names(
    root: Annotated[Path, typer.Argument(help="The root of a data set with DICOM files.")],
    out: Annotated[Path, typer.Option(help="A CSV; keep it where patients' names may be.")],
) -> None:
    """Say which file each DICOM image is that a study shows under another name."""
    with sentences():
        from vitrial.data.io.hidden_names import write_names

        count = write_names(root, out)
        out_console.print(f"{count} names are in {out}.", soft_wrap=True, highlight=False)
