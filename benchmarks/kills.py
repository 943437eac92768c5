"""Small studies that are killed at random moments, and repeated until they are done.

Each must end with the bits of an undisturbed one and find nothing damaged on its way, whichever
executor carries it out. What a kill leaves behind is what lies on disk, and most of the time
nothing changes there. So half of the moments are drawn from the clock; the others lie between two
changes of files, which are less than a millisecond apart while a checkpoint is written.

    python benchmarks/kills.py [--quick] [--kills N] [--by SIGTERM] [--executor NAME]
        [--devices N] [--seed N]
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # a process with threads could not be forked

import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import typer
from campaign import PROTOCOL, bits, invoke
from table import Row, publish

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}
"""What Python tells of itself (PEP 578) when it changes files, besides opening one to write."""
IMPORTED = ("vitrial.study.execute", "vitrial.report.page", "pandas.io.formats.style")
PART = 0.4
"""Of an undisturbed study, from which moments are drawn, so that studies are killed repeatedly."""
Changes = list[tuple[float, str]]
"""Changes of a study's files, each with the seconds since the study's start, the first."""


@dataclass(frozen=True)
class Moment:
    """When a study is killed.

    Attributes:
        changes: How many changes it has made to its files.
        delay: Seconds since the last of them.
    """

    changes: int
    delay: float


NEVER = Moment(sys.maxsize, 0)


def warm_up(protocol: Path) -> None:
    """Import, and find out, what each process that is forked would have to for itself.

    Nothing is trained: PyTorch refuses to train in a process that was forked from one that did.
    """
    from vitrial.protocol.file import load_protocol
    from vitrial.study.preflight import preflight

    for module in IMPORTED:
        import_module(module)
    preflight(load_protocol(protocol), protocol.parent / "study")


def carry_out(folder: Path, options: list[str], told: Connection) -> None:
    """Run the study in a folder, and tell of each change of its files."""

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in CHANGES or (event == "open" and str(arguments[1])[0] in "wxa")
        if changes and str(arguments[0]).startswith(f"{folder}/"):
            told.send(f"{event} {Path(arguments[0]).relative_to(folder)}")

    sys.addaudithook(watch)
    place = ("--out", folder / "study", "--cache", folder / "cache")
    result = invoke("run", folder.parent / "kills.yaml", *place, *options)
    if result.exit_code not in (0, 128 + signal.SIGTERM):
        print(result.output, file=sys.stderr)
    sys.exit(result.exit_code)


def carry_out_until(
    moment: Moment, folder: Path, options: list[str], by: signal.Signals
) -> tuple[int, Changes]:
    """Run the study in a folder, in a process of its own, and kill it at a moment.

    Returns:
        The exit code of the process, and the changes that it made.
    """
    context = get_context("fork")  # what takes seconds to import is there already
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=carry_out, args=(folder, options, theirs))
    process.start()
    theirs.close()
    started, changes = time.perf_counter(), [(0.0, "start")]
    with suppress(EOFError):  # it has ended
        while True:
            if len(changes) == moment.changes + 1:
                process.join(moment.delay)
                if process.is_alive():
                    os.kill(int(process.pid or 0), by)
            told = ours.recv()
            changes.append((time.perf_counter() - started, told))
    process.join()
    return int(process.exitcode or 0), changes


def moments(draw: random.Random, changes: Changes) -> Iterator[Moment]:
    """Moments of the first part of an undisturbed study: of the clock, and between two changes."""
    seconds = [at for at, _ in changes]
    while True:
        yield Moment(0, draw.uniform(0, PART * seconds[-1]))
        change = draw.randrange(int(PART * (len(changes) - 1)))
        yield Moment(change, draw.uniform(0, seconds[change + 1] - seconds[change]))


def kill_study(
    drawn: Iterator[Moment], folder: Path, options: list[str], by: signal.Signals
) -> tuple[list[str], int]:
    """Run a study again and again, killed at one moment after the other, until it ends by itself.

    Returns:
        When it was killed, and the exit code at last.
    """
    killed: list[str] = []
    while True:
        moment = next(drawn, NEVER)
        code, changes = carry_out_until(moment, folder, options, by)
        if code not in (-by, 128 + by):
            return killed, code
        killed.append(f"{moment}, after {changes[-1][1]}")


def faults(study: Path, code: int, expected: dict[str, object]) -> Iterator[str]:
    """What should not be of a study that was killed, and then completed with an exit code."""
    if code:
        yield f"exit code {code}"
    found = bits(study)
    if other := [name for name, content in expected.items() if found.get(name) != content]:
        yield f"other bits: {', '.join(other)}"
    for pattern in (".partial-*", "*.damaged"):
        if left := [path.name for path in study.rglob(pattern)]:
            yield f"left behind: {', '.join(left)}"


def main(
    kills: Annotated[int, typer.Option(help="How often studies are killed in all.")] = 50,
    by: Annotated[str, typer.Option(help="The signal: SIGKILL or SIGTERM.")] = "SIGKILL",
    executor: Annotated[str, typer.Option(help="What carries them out.")] = "inline",
    devices: Annotated[int, typer.Option(help="Processes that train each model.")] = 1,
    seed: Annotated[int, typer.Option(help="Decides the moments.")] = 0,
    quick: Annotated[bool, typer.Option(help="Three kills.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Kill studies, go on with each until it is done, and compare."""
    kills = 3 if quick else kills
    number = signal.Signals[by]
    options = ["--executor", executor, *(["-x", "runs_per_device=2"] * (executor == "local"))]
    options += ["--devices", str(devices)] * (devices > 1)
    left, studies, failures = kills, 0, 0
    with tempfile.TemporaryDirectory() as root:
        protocol = PROTOCOL  # of two arms, so that workers have something to share
        if executor == "inline":
            protocol = protocol.replace("[random, random+dino]", "random+dino")
        (Path(root) / "kills.yaml").write_text(protocol)
        warm_up(Path(root) / "kills.yaml")
        whole = Path(root) / "whole"
        code, changes = carry_out_until(NEVER, whole, options, number)
        expected, drawn = bits(whole / "study"), moments(random.Random(seed), changes)
        while left and not code:
            studies += 1
            folder = Path(root) / f"study-{studies}"
            killed, code = kill_study(islice(drawn, left), folder, options, number)
            left -= len(killed)
            for fault in faults(folder / "study", code, expected):
                failures += 1
                print(f"study {studies}, {fault}:", *killed, sep="\n  ", file=sys.stderr)
    where = executor if devices == 1 else f"{executor}, {devices} devices"
    rows = [
        Row(f"{where}: {by}", kills - left, "kills"),
        Row(f"{where}: studies", studies, "studies"),
        Row("other bits, or files left behind", failures, "cases", "none", None, 0, not failures),
    ]
    publish("Small studies, killed", rows, json)
    if failures or left:
        said = f"--kills {kills} --by {by} --executor {executor} --devices {devices} --seed {seed}"
        print(f"Draw the same moments again: {said}", file=sys.stderr)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
