"""On this machine, several stages at once: worker processes for each device.

Without a GPU the cores are one device, and its workers share them evenly.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal

from pydantic import PositiveInt

from vitrial.atomic import DiskError
from vitrial.events import EpochEnded, Event, Note, StageEnded, counting, listening, tell
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Stage
from vitrial.study.carry_out import STAGES, Work, carry_out_stage
from vitrial.study.datasets import Datasets
from vitrial.study.executors import ExecutorOptions
from vitrial.study.processes import end, starting, stop_with_parent
from vitrial.study.runs_per_device import Place, best_number, devices
from vitrial.terminal import Stopped, stoppable

REQUIRES = None

TRIES = 2
"""How often a stage is tried whose worker dies: what a machine does once, it may not do twice."""


class Options(ExecutorOptions):
    """How much is done at once.

    Attributes:
        runs_per_device: Worker processes of each device; `auto` tries 1, 2 and 4 for a few steps.
    """

    runs_per_device: PositiveInt | Literal["auto"] = "auto"


def execute(work: Work, stages: list[Stage], datasets: Datasets | None, options: Options) -> None:
    """Hand each stage to a worker as soon as what it starts from has ended.

    However this ends, no worker outlives it.

    Raises:
        DiskError: No stage can be written any more.
    """
    number, names = options.runs_per_device, devices(work.devices)
    if number == "auto":
        number = best_number(work.root, stages, names)
    places = [Place.of(name, number * len(names)) for _ in range(number) for name in names]
    left, unended, deaths = list(stages), {stage.folder for stage in stages}, Counter[str]()
    with counting(STAGES, len(stages)) as advance, ExitStack() as closing:
        workers = [_Worker(work, place) for place in places[: len(stages)]]
        for worker in workers:
            closing.callback(worker.end)
            worker.start()
        while unended:
            _hand_out(left, workers, unended)
            for worker, stage, message in _messages(workers):
                if isinstance(message, EpochEnded | Note):
                    tell(message)
                    continue
                if isinstance(message, DiskError):
                    raise message
                if isinstance(message, int):
                    worker.start()
                    deaths[stage.folder] += 1
                    message = _died(work, stage, message, deaths[stage.folder])
                if isinstance(message, StageEnded):
                    tell(message)
                    advance(1)
                    unended.remove(stage.folder)
                else:  # it is to be tried again, or another process is at it
                    left.append(stage)


def _hand_out(left: list[Stage], workers: list[_Worker], unended: set[str]) -> None:
    """Give idle workers the stages whose start has ended, the first first."""
    idle = [worker for worker in workers if worker.stage is None]
    ready = [stage for stage in left if stage.start not in unended]
    for worker, stage in zip(idle, ready, strict=False):
        left.remove(stage)
        worker.give(stage)


def _messages(workers: list[_Worker]) -> Iterator[tuple[_Worker, Stage, object]]:
    """Wait for the workers that are at something, and give what they say of which stage."""
    busy = {worker.connection: worker for worker in workers if worker.stage is not None}
    for connection in wait([*busy]):
        worker = busy[connection]  # type: ignore[index]
        assert worker.stage is not None
        yield worker, worker.stage, worker.hear()


def _died(work: Work, stage: Stage, code: int, times: int) -> StageEnded | None:
    """What becomes of a stage whose worker died: None if it is tried again."""
    why = f"its process ended with exit code {code}"
    if code < 0:
        why = f"its process was ended by {signal.Signals(-code).name}"
    if code == -signal.SIGKILL:
        why += ", as the system does when memory runs out (lower runs_per_device)"
    if times < TRIES:
        tell(Note(f"{stage.name}: {why}. It is tried again."))
        return None
    with (folder := RunFolder(work.root / stage.folder)).claim() as claimed:
        if claimed:
            folder.fail(f"{times} times {why}.")
    return StageEnded(stage.name, "failed", f"{times} times {why}.")


class _Worker:
    """A process that carries out the stages that it is given, one after the other.

    Args:
        work: Where the study is.
        place: Which device and how many threads it may use.
    """

    def __init__(self, work: Work, place: Place) -> None:
        self.work, self.place = work, place
        self.stage: Stage | None = None
        self.process: BaseProcess
        self.connection: Connection

    def start(self) -> None:
        """Start the process, in place of one that died."""
        context: Any = starting()
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_carry_out, args=(theirs, self.work, self.place))
        self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def give(self, stage: Stage) -> None:
        """Have it carry out a stage."""
        self.stage = stage
        with suppress(BrokenPipeError):  # it has died: the end of the pipe says so
            self.connection.send(stage)

    def hear(self) -> object:
        """What it says: an event; None if its stage is elsewhere; its exit code if it died."""
        try:
            message = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            message = self.process.exitcode
        if not isinstance(message, EpochEnded | Note):
            self.stage = None
        return message

    def end(self) -> None:
        """End the process: at once if it is idle, else with a checkpoint."""
        if not hasattr(self, "process"):
            return
        end(self.process)
        self.connection.close()


def _carry_out(connection: Connection, work: Work, place: Place) -> None:
    """What a worker does until it is told to stop, or the process that started it is gone."""
    place.take()

    def retell(event: Event) -> None:
        if isinstance(event, EpochEnded | Note):
            connection.send(event)

    with suppress(Stopped, EOFError), stoppable(), listening(retell):
        stop_with_parent()
        while True:
            stage: Stage = connection.recv()
            try:
                connection.send(carry_out_stage(work, stage))
            except DiskError as error:
                connection.send(error)
