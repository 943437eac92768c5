"""How many runs a device should train at once: a short trial of 1, 2 and 4 worker processes.

A small network on a large GPU, or on many cores, leaves most of the device idle. Steps of each
backbone of the study are timed in as many processes at once; batches are made up.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from vitrial.events import Note, counted, tell
from vitrial.protocol import Protocol
from vitrial.store.registration import registered_protocol
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Stage
from vitrial.study.cost import TrainingStep, wait_for
from vitrial.study.footprint import footprint, free_memory
from vitrial.study.processes import starting
from vitrial.train.launch import launch

NUMBERS = (1, 2, 4)
STEPS = 4
"""Of each backbone, after one that is not timed."""
WORTH_IT = 1.05
"""How many times as fast more processes have to be: the trial's own noise is a few percent."""


@dataclass(frozen=True)
class Place:
    """What a worker process may use.

    Attributes:
        device: GPUs by number or name, with commas between them; None for the CPU.
        threads: Of the CPU.
    """

    device: str | None
    threads: int

    @staticmethod
    def of(device: str | None, workers: int) -> Place:
        """The place on a device of one of `workers`, on whichever devices: they share all cores."""
        return Place(device, max(1, torch.get_num_threads() // workers))

    def take(self) -> None:
        """Keep this process to its place; before it touches a GPU."""
        if self.device is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.device
        torch.set_num_threads(self.threads)
        threadpool_limits(self.threads)


def devices(together: int = 1) -> list[str | None]:
    """The GPUs that may be used, as `CUDA_VISIBLE_DEVICES` names them; without one, the CPU.

    Args:
        together: How many train a stage together: so many make an entry.
    """
    count = torch.cuda.device_count()
    if count == 0:
        return [None]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [*(visible.split(",") if visible else map(str, range(count)))][:count]
    starts = range(0, max(1, count - together + 1), together)
    return [",".join(names[start : start + together]) for start in starts]


def best_number(root: Path, stages: list[Stage], names: list[str | None]) -> int:
    """How many worker processes a device should have, said in a note.

    Args:
        root: The study's folder.
        stages: What there is to do; of those that are done already, nothing is tried.
        names: Of the devices; the first is tried.
    """
    left = [s for s in stages if RunFolder(root / s.folder).status != "done"]
    runs = [stage for stage in left if stage.kind in ("finetune", "tune")]
    most = min(-(-len(left) // len(names)), os.cpu_count() or 1, _that_fit(left))
    numbers = [number for number in NUMBERS if number <= most]
    backbones = tuple(dict.fromkeys(stage.arm.model for stage in runs))
    if len(numbers) < 2 or not backbones:
        return 1
    protocol = registered_protocol(root)
    speeds = {
        number: _steps_per_second(
            number, Place.of(names[0], number * len(names)), protocol, backbones
        )
        for number in counted(numbers, "Trying several runs at once")
    }
    best = 1
    for number in numbers:
        if speeds[number] > WORTH_IT * speeds[best]:
            best = number
    times = ", ".join(f"{n} at once {speeds[n] / speeds[1]:.2f}" for n in numbers[1:])
    tell(Note(f"Runs at once on each device: {best} (speed beside one at a time: {times})."))
    return best


def _that_fit(stages: list[Stage]) -> int:
    """How many of the largest of these trainings fit into memory at once."""
    takes = [
        footprint(s.arm.model, s.recipe, s.image.channels, s.augment.crop).step for s in stages
    ]
    return max(1, free_memory() // max(takes, default=1))


def _steps_per_second(
    number: int, place: Place, protocol: Protocol, backbones: tuple[str, ...]
) -> float:
    """Steps of so many processes together, the backbones one after the other."""
    context: Any = starting()
    together, answers = context.Barrier(number), context.SimpleQueue()
    arguments = (together, answers, place, protocol, backbones)
    processes = [context.Process(target=_try, args=arguments) for _ in range(number)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):  # such as for lack of memory
        return 0.0
    seconds: list[float] = [answers.get() for _ in processes]
    return number * STEPS * len(backbones) / max(seconds)


def _try(
    together: Barrier, answers: Any, place: Place, protocol: Protocol, backbones: tuple[str, ...]
) -> None:
    """Time steps of each backbone, and tell how many seconds they took."""
    place.take()
    fabric, seconds = launch(protocol.recipe.precision), 0.0
    try:
        for name in backbones:
            step = TrainingStep(name, protocol, fabric)
            step()
            wait_for(fabric)
            together.wait()
            started = time.perf_counter()
            for _ in range(STEPS):
                step()
            wait_for(fabric)
            seconds += time.perf_counter() - started
    except BaseException:
        together.abort()  # the others need not wait
        raise
    answers.put(seconds)
