"""On a Ray cluster, or Ray on this machine: a task for each stage, with its resources.

Ray starts a task when those whose results it takes have ended, and tries it again when its worker
or node dies. The study's folder, the data and the pixel cache lie on a disk that all nodes share.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from pydantic import Field, NonNegativeInt, PositiveInt

from vitrial.events import Event, StageEnded, counting, tell
from vitrial.store.stage import Stage
from vitrial.study.carry_out import STAGES, Work, carry_out_apart
from vitrial.study.datasets import Datasets
from vitrial.study.executors import ExecutorOptions
from vitrial.study.runs_per_device import Place, devices

REQUIRES = ("ray", "ray")


class Options(ExecutorOptions):
    """Which cluster, and what of it a stage takes.

    Attributes:
        address: Of the cluster, `auto` for the one that this machine is part of; left out, a
            cluster of this machine alone is started and ended.
        num_cpus: Cores of a stage, and its threads.
        num_gpus: GPUs of a stage; a part of one, such as 0.5, lets several stages share it. Left
            out, as many as train it together where this machine has any.
        max_retries: How often a stage is tried again when its worker or node dies.
    """

    address: str | None = None
    num_cpus: PositiveInt = 1
    num_gpus: float | None = Field(None, ge=0)
    max_retries: NonNegativeInt = 2


def execute(work: Work, stages: list[Stage], datasets: Datasets | None, options: Options) -> None:
    """Hand all stages to Ray, and wait for them."""
    import ray

    cpus, gpus = max(options.num_cpus, work.devices), options.num_gpus
    if gpus is None:
        gpus = 0.0 if devices() == [None] else float(work.devices)
    shared = replace(work, root=work.root.resolve(), cache=work.cache and work.cache.resolve())
    task: Any = ray.remote(_carry_out).options(
        num_cpus=cpus, num_gpus=gpus, max_retries=options.max_retries
    )
    ray.init(options.address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        tasks: dict[str, Any] = {}
        for stage in stages:
            start = tasks.get(stage.start or "")
            tasks[stage.folder] = task.remote(shared, stage, cpus, start)
        names = {tasks[stage.folder]: stage.name for stage in stages}
        with counting(STAGES, len(stages)) as advance:
            while names:
                (ended,), _ = ray.wait([*names])
                for event in _events_of(ended, names.pop(ended)):
                    tell(event)
                advance(1)
    finally:
        ray.shutdown()


def _events_of(task: Any, name: str) -> list[Event]:
    """What a task that has ended would have told."""
    import ray

    try:
        events: list[Event] = ray.get(task)
        return events
    except ray.exceptions.RayError as error:
        return [StageEnded(name, "failed", str(error).strip().splitlines()[-1])]


def _carry_out(work: Work, stage: Stage, threads: int, start: object) -> list[Event]:
    """A stage as a task; `start` is what the stage before it told, for Ray to wait for."""
    Place(None, threads).take()
    return carry_out_apart(work, stage)
