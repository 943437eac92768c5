"""On a cluster with Slurm: a job for each stage, through submitit.

The stages of a layer are an array of jobs that begins when the layer before has ended. A job that
is preempted, or reaches its time limit, writes a checkpoint and is put back into the queue, where
it goes on. The study's folder, the data and the pixel cache lie on a disk that all nodes share.

A job of several nodes trains one model on the devices of all. The task of the first node carries
the stage out; those of the others take part, leave signals to the first, and end with it.
"""

from __future__ import annotations

import math
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from types import FrameType
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from vitrial.errors import VitrialError
from vitrial.events import Event, Note, StageEnded, counting, tell
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Stage
from vitrial.study.carry_out import STAGES, Work, carry_out_apart, layers
from vitrial.study.datasets import Datasets
from vitrial.study.executors import ExecutorOptions
from vitrial.study.nodes import link_to_first, links_to_others, port_of
from vitrial.study.ranks import take_part
from vitrial.terminal import Stopped, stop

REQUIRES = ("slurm", "submitit")

JOBS = "jobs"
"""The folder of submitit's files and of what jobs print, below the study's."""
PREEMPTED = signal.SIGUSR2
"""submitit's signal, which Slurm also sends before the time limit."""
POLL = 5.0
"""Seconds between two looks at whether a job has ended."""


class Options(ExecutorOptions):
    """What a job is given; what is left out, the cluster decides.

    Attributes:
        partition: Of the cluster.
        account: That is charged.
        qos: Quality of service.
        constraint: On the nodes.
        hours: Time limit of a job, which goes on in another when it is reached.
        nodes: Of a job, which train one model together.
        gpus: Of a node.
        cpus: Of a node.
        memory_gb: Of a node.
        at_once: Jobs of a layer at the most.
        requeues: How often a job may reach its time limit.
        wait: Whether the command waits for the jobs; `vitrial status` tells of them otherwise.
        cluster: `slurm`; `local` makes processes of this machine of the jobs, to try them.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    hours: float = Field(24, gt=0)
    nodes: PositiveInt = 1
    gpus: NonNegativeInt = 1
    cpus: PositiveInt = 4
    memory_gb: PositiveInt | None = None
    at_once: PositiveInt = 100
    requeues: NonNegativeInt = 100
    wait: bool = True
    cluster: Literal["slurm", "local"] = "slurm"

    @field_validator("cluster")
    @classmethod
    def _has_the_nodes(cls, cluster: str, info: ValidationInfo) -> str:
        if cluster == "local" and info.data.get("nodes", 1) > 1:
            raise PydanticCustomError("nodes", "slurm where there are several nodes")
        return cluster


def execute(work: Work, stages: list[Stage], datasets: Datasets | None, options: Options) -> None:
    """Submit every stage, and wait for the jobs unless told otherwise.

    Raises:
        VitrialError: The devices are not what the nodes have, or more than a batch has images.
    """
    _check_devices(work, stages, options)
    shared = replace(work, root=work.root.resolve(), cache=work.cache and work.cache.resolve())
    left = [s for s in stages if RunFolder(shared.root / s.folder).status != "done"]
    for stage in stages:
        if stage not in left:
            tell(StageEnded(stage.name, "kept", "done"))
    jobs: dict[Any, Stage] = {}
    before: list[Any] = []
    with counting(STAGES, len(left)) as advance:
        for layer in layers(left):
            if options.cluster == "local":  # which knows no dependencies
                _wait_for(jobs, advance)
            before = _submit(shared, layer, options, before)
            jobs.update(zip(before, layer, strict=True))
            tell(Note(f"{len(layer)} jobs submitted: {_numbers(before)}."))
        tell(Note(f"What they print is in {shared.root / JOBS}."))
        if options.wait:
            _wait_for(jobs, advance)


def _check_devices(work: Work, stages: list[Stage], options: Options) -> None:
    """Refuse GPUs that would be idle, and batches that cannot be divided."""
    nodes, devices = options.nodes, work.devices
    if nodes > 1 and options.gpus > devices:
        raise VitrialError(
            f"Of the {options.gpus} GPUs of each node --devices {devices} uses {devices}: all "
            f"{nodes} nodes train one model on as many devices, so add --devices {options.gpus}."
        )
    for stage in stages:
        if stage.recipe.batch_size < nodes * devices:
            raise VitrialError(
                f"{stage.name}: a batch of {stage.recipe.batch_size} images cannot be divided "
                f"among {nodes} x {devices} devices: take fewer, or raise batch_size."
            )


def _submit(work: Work, layer: list[Stage], options: Options, before: list[Any]) -> list[Any]:
    """Submit the stages of a layer as an array of jobs, to begin after the jobs before."""
    import submitit

    executor = submitit.AutoExecutor(
        work.root / JOBS, cluster=options.cluster, slurm_max_num_timeout=options.requeues
    )
    executor.update_parameters(timeout_min=math.ceil(60 * options.hours))
    if options.cluster == "slurm":
        given: dict[str, Any] = {
            "partition": options.partition,
            "account": options.account,
            "qos": options.qos,
            "constraint": options.constraint,
            "mem": options.memory_gb and f"{options.memory_gb}GB",
            "nodes": options.nodes,
            "ntasks_per_node": 1,
            "gpus_per_node": options.gpus and max(options.gpus, work.devices),
            # Whatever the others came to: a stage whose start failed says so itself.
            "dependency": f"afterany:{_numbers(before)}" if before else None,
        }
        executor.update_parameters(
            name="vitrial",
            cpus_per_task=options.cpus,
            slurm_array_parallelism=options.at_once,
            **{f"slurm_{key}": value for key, value in given.items() if value},
        )
    with executor.batch():
        return [executor.submit(_Job(work, stage, options.nodes)) for stage in layer]


def _wait_for(jobs: dict[Any, Stage], advance: Callable[[int], None]) -> None:
    """Wait for jobs, tell how each stage ended, and forget them."""
    try:
        while jobs:
            for job in _ended(jobs):
                for event in _events_of(job, jobs.pop(job)):
                    tell(event)
                advance(1)
            if jobs:
                time.sleep(POLL)
    except (KeyboardInterrupt, Stopped):
        way = f"`vitrial status` tells of them, `scancel {_numbers(jobs)}` ends them"
        tell(Note(f"The jobs go on: {way}."))
        raise


def _ended(jobs: Iterable[Any]) -> list[Any]:
    """The jobs that have ended; Slurm's accounting, which may be off, is not needed."""
    import submitit

    jobs = list(jobs)
    if not isinstance(jobs[0], submitit.SlurmJob):
        return [job for job in jobs if job.done()]
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={_numbers(jobs)}"]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode and "Invalid job id" not in found.stderr:  # Slurm does not answer now
        return []
    queued = found.stdout.split()
    return [job for job in jobs if job.job_id not in queued]


def _events_of(job: Any, stage: Stage) -> list[Event]:
    """What a job that has ended would have told."""
    import submitit

    job = job.task(0)  # of the first node
    why = f"its job {job.job_id} was ended: see {job.paths.stderr}"
    if job.paths.result_pickle.exists():
        try:
            events: list[Event] = job.result()
            return events
        except submitit.core.utils.FailedJobError as error:
            why = str(error).strip().splitlines()[-1]
    return [StageEnded(stage.name, "failed", why)]


def _numbers(jobs: Iterable[Any]) -> str:
    """The numbers of jobs; those of an array have one."""
    return ",".join(dict.fromkeys(job.job_id.partition("_")[0] for job in jobs))


class _Job:
    """A stage as a job: what submitit calls on each node, and again after each requeueing."""

    def __init__(self, work: Work, stage: Stage, nodes: int) -> None:
        self.work, self.stage, self.nodes = work, stage, nodes
        self.key = secrets.token_bytes()

    def __call__(self) -> list[Event]:
        """Carry the stage out; being preempted ends the process, with a checkpoint."""
        import submitit

        job = submitit.JobEnvironment()
        port = port_of(int(job.raw_job_id))
        if job.global_rank > 0:
            return self._take_part(job.hostnames[0], port)
        # submitit's handler, which puts the job back into the queue and ends the process.
        requeue: Any = signal.getsignal(PREEMPTED)
        asked: list[int] = []

        def preempt(number: int, frame: FrameType | None) -> None:
            asked.append(number)
            stop(number, frame)

        signal.signal(PREEMPTED, preempt)
        signal.signal(signal.SIGTERM, stop)
        try:
            return self._carry_out(port)
        except Stopped:
            # By SIGTERM alone Slurm announces that it will end the job, and requeues it if it was
            # preempted; but not if it ends by itself.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(PREEMPTED, lambda number, frame: asked.append(number))
            while not asked:
                time.sleep(1)
            requeue(PREEMPTED, None)
            raise

    def _carry_out(self, port: int) -> list[Event]:
        with ExitStack() as closing:
            try:
                others = closing.enter_context(links_to_others(self.nodes - 1, port, self.key))
            except VitrialError as error:
                RunFolder(self.work.root / self.stage.folder).fail(str(error))
                return [StageEnded(self.stage.name, "failed", str(error))]
            return carry_out_apart(replace(self.work, others=others), self.stage)

    def _take_part(self, address: str, port: int) -> list[Event]:
        """The signals are for the first node: submitit's handlers, which pass them by, stay."""
        work = self.work
        options: Any = {"cache": work.cache, "workers": work.workers}
        try:
            first = link_to_first(address, port, self.key)
            take_part(first, address, work.root, self.stage.key, work.devices, **options)
        except VitrialError as error:  # no failure of this task, by which Slurm may end the first
            print(error, file=sys.stderr)
        return []

    def checkpoint(self) -> Any:
        """What is put back into the queue: the same, since all that was done is in the folder."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)
