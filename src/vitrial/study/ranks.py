"""One stage on several devices of this machine: a process for each, which train one model together.

Each takes its share of every batch (`vitrial.data.shares`), so that the batch, and with it the
recipe, is the one that the protocol names.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from vitrial.errors import VitrialError
from vitrial.events import EpochEnded, Event, Note, listening, tell
from vitrial.study.processes import end, starting, stop_with_parent
from vitrial.study.run import run_stage
from vitrial.terminal import Stopped, stoppable


def run_on_ranks(
    study: Path, key: str, devices: int, *, cache: Path | None, workers: int | None
) -> None:
    """Carry out a stage on several devices; see `run_stage`.

    Raises:
        VitrialError: There are fewer devices, or what `run_stage` raised in one of the processes.
    """
    if 0 < torch.cuda.device_count() < devices:
        raise VitrialError(
            f"--devices {devices} exceeds the {torch.cuda.device_count()} GPUs here: lower it."
        )
    context: Any = starting()
    threads, port = max(1, torch.get_num_threads() // devices), _free_port()
    with ExitStack() as closing:
        running: dict[Connection, Any] = {}
        for rank in range(devices):
            ours, theirs = context.Pipe(duplex=False)
            place = {"LOCAL_RANK": rank, "WORLD_SIZE": devices, "MASTER_PORT": port}
            options = {"cache": cache, "workers": workers, "devices": devices}
            process = context.Process(
                target=_run, args=(theirs, place, threads, study, key, options)
            )
            process.start()
            closing.callback(end, process)
            theirs.close()
            running[ours] = process
        while running:
            for connection in wait([*running]):
                _hear(connection, running)  # type: ignore[arg-type]


def _hear(connection: Connection, running: dict[Connection, Any]) -> None:
    """Take what a process says; one that has ended well is no longer running."""
    try:
        message = connection.recv()
    except EOFError:
        process = running.pop(connection)
        process.join()
        if process.exitcode:
            raise VitrialError(
                f"One of the processes that trained together ended with {process.exitcode}."
            ) from None
        return
    if isinstance(message, Exception):
        raise message
    tell(message)


def _run(
    connection: Connection,
    place: dict[str, object],
    threads: int,
    study: Path,
    key: str,
    options: dict[str, Any],
) -> None:
    """One of the processes; the first tells of epochs, each of what goes wrong."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "NODE_RANK": "0"}
    os.environ |= {name: str(value) for name, value in place.items()}
    torch.set_num_threads(threads)

    def retell(event: Event) -> None:
        if place["LOCAL_RANK"] == 0 and isinstance(event, EpochEnded | Note):
            connection.send(event)

    with suppress(Stopped), stoppable(), listening(retell):
        stop_with_parent()
        try:
            run_stage(study, key, **options)
        except VitrialError as error:
            connection.send(error)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
