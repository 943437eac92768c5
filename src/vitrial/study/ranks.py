"""One stage on several devices: a process for each, which train one model together.

Each takes its share of every batch (`vitrial.data.shares`), so that the batch, and with it the
recipe, is the one that the protocol names. The devices are of this machine, or of several nodes
(`vitrial.study.nodes`): the first begins, and the others take part in what it tells them.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch.distributed import DistError

from vitrial.errors import VitrialError
from vitrial.events import EpochEnded, Event, Note, listening, tell
from vitrial.study.processes import end, starting, stop_with_parent
from vitrial.study.run import run_stage
from vitrial.terminal import Stopped, stoppable

SIGNAL_LATE = 5
"""Seconds by which a signal to stop may reach one node after another."""


@dataclass(frozen=True)
class Node:
    """A machine whose devices train a model, alone or together with those of others.

    Attributes:
        rank: Which of them, from 0.
        number: How many there are.
        address: Of the first.
        port: Of the first, where the processes find each other.
    """

    rank: int
    number: int
    address: str
    port: int


Running = dict[Connection, BaseProcess | None]
"""Who has not ended, by what it is heard through: a process, or (None) another node."""


def run_on_ranks(
    study: Path,
    key: str,
    devices: int,
    *,
    cache: Path | None,
    workers: int | None,
    others: Sequence[Connection] = (),
) -> None:
    """Carry out a stage on several devices; see `run_stage`.

    Args:
        study: See `run_stage`, as are the others.
        key: Likewise.
        devices: Of this node, and of each other.
        cache: Likewise.
        workers: Likewise.
        others: Links to the nodes that take part besides this one.

    Raises:
        VitrialError: There are fewer devices, a process or node ended early, or what `run_stage`
            raised in one of the processes.
    """
    node = Node(0, 1 + len(others), "127.0.0.1", _free_port())
    for rank, other in enumerate(others, 1):
        with suppress(OSError):  # it has ended: its link says so below
            other.send(replace(node, rank=rank))
    options = {"cache": cache, "workers": workers, "devices": devices}
    _run_processes(node, study, key, options, dict.fromkeys(others))


def take_part(
    first: Connection,
    address: str,
    study: Path,
    key: str,
    devices: int,
    *,
    cache: Path | None,
    workers: int | None,
) -> None:
    """Take part in the stage that the first node carries out by `run_on_ranks`, if it does.

    Args:
        first: The link to it.
        address: Of it.
        study: See `run_on_ranks`, as are the others.
        key: Likewise.
        devices: Likewise.
        cache: Likewise.
        workers: Likewise.

    Raises:
        VitrialError: See `run_on_ranks`; the first node hears of it, too.
    """
    try:
        node = replace(first.recv(), address=address)
    except (EOFError, OSError):  # there was nothing to train
        return
    options = {"cache": cache, "workers": workers, "devices": devices}
    try:
        _run_processes(node, study, key, options, {}, [first])
    except VitrialError as error:
        with suppress(OSError):  # it has ended
            first.send(error)
        raise
    first.send(None)


def _run_processes(
    node: Node,
    study: Path,
    key: str,
    options: dict[str, Any],
    running: Running,
    watched: Sequence[Connection] = (),
) -> None:
    """Run the processes of this node until they, and what else is `running`, have ended.

    It is wrong for what is `watched` to end before.
    """
    devices = options["devices"]
    if 0 < torch.cuda.device_count() < devices:
        raise VitrialError(
            f"--devices {devices} exceeds the {torch.cuda.device_count()} GPUs here: lower it."
        )
    context: Any = starting()
    threads = max(1, torch.get_num_threads() // devices)
    processes: list[BaseProcess] = []
    try:
        for rank in range(devices):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_run, args=(theirs, node, rank, threads, study, key, options)
            )
            process.start()
            processes.append(process)
            theirs.close()
            running[ours] = process
        while running:
            for connection in wait([*running, *watched]):
                _hear(connection, running)  # type: ignore[arg-type]
    finally:
        end(*processes)


def _hear(connection: Connection, running: Running) -> None:
    """Take what a process or node says; one that has ended well is no longer running."""
    try:
        message = connection.recv()
    except (EOFError, OSError):
        process = running.pop(connection, None)
        if process is None:
            raise _ended_early("Another node that trained together ended early.") from None
        process.join()
        if process.exitcode:
            what = f"One of the processes that trained together ended with {process.exitcode}."
            raise _ended_early(what) from None
        return
    if message is None:
        running.pop(connection)
    elif isinstance(message, Exception):
        raise message
    else:
        tell(message)


def _ended_early(what: str) -> VitrialError:
    """The error; unless all are being stopped, and the signal has yet to reach this process."""
    time.sleep(SIGNAL_LATE)
    return VitrialError(what)


def _run(
    connection: Connection,
    node: Node,
    rank: int,
    threads: int,
    study: Path,
    key: str,
    options: dict[str, Any],
) -> None:
    """One of the processes; the first tells of epochs, each of what goes wrong."""
    os.environ |= {"MASTER_ADDR": node.address, "MASTER_PORT": str(node.port)}
    os.environ |= {"NODE_RANK": str(node.rank), "LOCAL_RANK": str(rank)}
    os.environ["WORLD_SIZE"] = str(node.number * options["devices"])
    torch.set_num_threads(threads)

    def retell(event: Event) -> None:
        if (node.rank, rank) == (0, 0) and isinstance(event, EpochEnded | Note):
            connection.send(event)

    with suppress(Stopped), stoppable(), listening(retell):
        stop_with_parent()
        try:
            run_stage(study, key, **options, nodes=node.number)
        except VitrialError as error:
            connection.send(error)
        except RuntimeError as error:
            if not _another_has_ended(error):
                raise
            time.sleep(SIGNAL_LATE)  # what started both knows why, and ends this one too
            connection.send(VitrialError("A process that trained together with this one ended."))


def _another_has_ended(error: RuntimeError) -> bool:
    """Whether another process has ended, to which this one was talking."""
    return isinstance(error, DistError) or "gloo/transport" in str(error)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])
