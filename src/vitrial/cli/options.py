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
    int | None, typer.Option(help="Threads that read batches ahead.", min=0, max=64)
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
        show_default="the usual one, or a free one",
    ),
]
Executor = Annotated[
    str,
    typer.Option(
        help="What trains: this process (inline), several of this machine (local), slurm or ray.",
        metavar="NAME",
    ),
]
Devices = Annotated[
    int,
    typer.Option(help="GPUs that train each model together, a share of every batch each.", min=1),
]
ExecutorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-x",
        help="An option of the executor, KEY=VALUE; repeat it.",
        metavar="KEY=VALUE",
    ),
]
StudyFolder = Annotated[Path, typer.Argument(help="The study's folder.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]


def pairs(options: list[str] | None) -> dict[str, str]:
    """What `-x KEY=VALUE` said, by key.

    Raises:
        VitrialError: One of them has no `=`.
    """
    from vitrial.errors import VitrialError

    wrong = [option for option in options or () if "=" not in option]
    if wrong:
        raise VitrialError(f"The option '{wrong[0]}' has no value: write -x {wrong[0]}=VALUE.")
    parted = (option.partition("=") for option in options or ())
    return {key: value for key, _, value in parted}
