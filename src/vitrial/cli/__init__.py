"""The command line: arguments, calls and printing, nothing else; one file per command group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from vitrial.cli import (
    analyze,
    compare,
    cost,
    data,
    export,
    pretrain,
    protocols,
    serve,
    study,
    trial,
    verdict,
)
from vitrial.terminal import escape_unprintable

app = typer.Typer(
    help="Should this CNN be replaced by a Vision Transformer? A controlled trial on your images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"vitrial {version('vitrial')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """What holds for every command."""
    escape_unprintable()


def _group(name: str, purpose: str, **commands: Callable[..., None]) -> None:
    """Add a group of commands, such as `vitrial data info`."""
    group = typer.Typer(help=purpose, no_args_is_help=True)
    for word, command in commands.items():
        group.command(word)(command)
    app.add_typer(group, name=name)


for _command in (
    trial.demo,
    verdict.plan,
    trial.run,
    trial.prepare,
    trial.tune,
    study.status,
    study.table,
    verdict.verdict,
    study.report,
    study.explain,
    analyze.analyze,
    cost.cost,
    compare.compare,
    export.export,
    serve.serve,
    serve.watch,
    pretrain.pretrain,
):
    app.command()(_command)

_group(
    "protocol",
    "List, show and check protocols.",
    list=protocols.list_protocols,
    show=protocols.show,
    check=protocols.check,
)
_group("data", "Describe and audit data sets.", info=data.info, audit=data.audit, names=data.names)
