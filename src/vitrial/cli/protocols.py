"""Commands about protocols: list, show, check."""

from __future__ import annotations

from typing import Annotated

import typer

from vitrial.cli.options import ProtocolName
from vitrial.cli.sentences import out_console, sentences


def list_protocols() -> None:
    """List the built-in protocols."""
    with sentences():
        from vitrial.protocol.file import ready_protocols

        ready = ready_protocols()
        width = max(map(len, ready)) + 2
        for name, purpose in ready.items():
            out_console.print(f"[bold]{name:{width}}[/]{purpose}", highlight=False)


def show(name: Annotated[str, typer.Argument(help="A built-in protocol's name.")]) -> None:
    """Print a built-in protocol, to be saved and changed."""
    with sentences():
        from vitrial.protocol.file import show as protocol_text

        print(protocol_text(name), end="")


def check(protocol: ProtocolName) -> None:
    """Check a protocol file and report everything that is wrong with it."""
    with sentences():
        from vitrial.protocol.file import load_protocol

        loaded = load_protocol(protocol, None)
        sizes = len(loaded.fractions)
        runs = len(loaded.arms) * loaded.repetitions * sizes
        out_console.print(
            f"{protocol} is valid: {len(loaded.arms)} arms x {loaded.repetitions} repetitions "
            f"{f'x {sizes} fractions ' if sizes > 1 else ''}= "
            f"{runs} runs, endpoint {loaded.endpoint}, hash {loaded.hash()}.",
            soft_wrap=True,
            highlight=False,
        )
