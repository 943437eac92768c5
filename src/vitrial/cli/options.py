"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ProtocolName = Annotated[
    str, typer.Argument(help="A protocol file, or the name of a built-in one.")
]
Root = Annotated[
    Path | None, typer.Option(help="Where the data are, in place of the protocol's data.root.")
]
Out = Annotated[Path | None, typer.Option(help="The study's folder.", show_default="studies/NAME")]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Where decoded images are kept.",
        envvar="VITRIAL_CACHE",
        show_default="~/.cache/vitrial",
    ),
]
Workers = Annotated[
    int | None, typer.Option(help="Processes that read batches ahead.", min=0, max=64)
]
SkipMissing = Annotated[
    bool,
    typer.Option(
        "--skip-missing", help="Leave out arms whose weights are missing, and run the others."
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        help="The port to listen on.",
        min=0,
        max=65535,
        show_default="a free one, the same if it can",
    ),
]
StudyFolder = Annotated[Path, typer.Argument(help="The study's folder.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]
