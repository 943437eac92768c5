"""Carrying out one stage, once whoever else is at work: what every executor does with it.

Processes share a study through its folder alone. A stage is locked while a process is at it, its
checkpoints let another go on, and its record says when it is done.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from vitrial.atomic import DiskFullError, DiskGoneError
from vitrial.errors import VitrialError
from vitrial.events import EpochEnded, Event, Note, StageEnded, listening, tell
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Stage
from vitrial.study.datasets import Datasets
from vitrial.study.ranks import run_on_ranks
from vitrial.study.run import run_stage

STAGES = "Stages"
"""What is counted while stages are carried out."""


@dataclass(frozen=True)
class Work:
    """Where stages are carried out, and with what; any process of the study can be handed it.

    Attributes:
        root: The study's folder.
        cache: See `run_stage`, as are the others.
        workers: Likewise.
        devices: That train each stage together.
        others: Links to nodes with as many devices, which take part: see `vitrial.study.nodes`.
    """

    root: Path
    cache: Path | None = None
    workers: int | None = None
    devices: int = 1
    others: Sequence[Connection] = ()


def carry_out_stage(
    work: Work, stage: Stage, datasets: Datasets | None = None
) -> StageEnded | None:
    """Carry out a stage that was laid down; a failure is recorded and told, not raised.

    What is done is left as it is. Damaged files are set aside, and what they held is recomputed.

    Args:
        work: Where and with what.
        stage: Which.
        datasets: The study's, where they are prepared already.

    Returns:
        How it ended; None if another process is at it, or at the stage that it starts from.

    Raises:
        DiskError: Then the other stages cannot be written either.
    """
    folder = RunFolder(work.root / stage.folder)
    with folder.claim() as claimed:
        if not claimed:
            return None
        for sentence in folder.repair(stage.seed):
            tell(Note(sentence))
        folder.lay_down(stage)  # it may have been damaged
        if folder.status == "done":
            return StageEnded(stage.name, "kept", "done")
        start = "done" if stage.start is None else RunFolder(work.root / stage.start).status
        if start == "running":
            return None
        try:
            if start != "done":
                needed = RunFolder(work.root / str(stage.start)).stage()
                raise VitrialError(f"{needed.name} has not been completed.")
            options: Any = {"cache": work.cache, "workers": work.workers}
            if work.devices > 1 or work.others:
                run_on_ranks(work.root, stage.key, work.devices, **options, others=work.others)
            else:
                run_stage(work.root, stage.key, **options, datasets=datasets)
        except DiskFullError as error:
            with suppress(DiskFullError):
                folder.fail(str(error))
            raise
        except VitrialError as error:
            folder.fail(str(error))
            return StageEnded(stage.name, "failed", str(error))
        except Exception as error:  # recorded with its traceback; the other stages go on
            if not os.path.isdir(folder.path):  # noqa: PTH112  # False whatever a dead mount says
                raise DiskGoneError(
                    f"{folder.path} is gone while {stage.name} was at work: make the disk "
                    "available again, and repeat the command, which resumes."
                ) from error
            why = f"{type(error).__name__}: {error}"
            folder.fail(why, traceback.format_exc())
            return StageEnded(stage.name, "failed", why)
    return StageEnded(stage.name, "done")


def carry_out_apart(work: Work, stage: Stage) -> list[Event]:
    """Carry out a stage where nobody listens.

    Returns:
        What a listener elsewhere should hear afterwards: notes, the last epoch, and the end.
    """
    told: list[Event] = []
    with listening(told.append):
        ended = carry_out_stage(work, stage)
    notes = [event for event in told if isinstance(event, Note)]
    epochs = [event for event in told if isinstance(event, EpochEnded)]
    return [*notes, *epochs[-1:], ended or StageEnded(stage.name, "kept", "runs elsewhere")]


def layers(stages: list[Stage]) -> list[list[Stage]]:
    """The stages by how many others come before them: those of a layer need none of each other."""
    depth: dict[str, int] = {}
    for stage in stages:  # a stage comes after what it starts from
        depth[stage.folder] = 0 if stage.start is None else 1 + depth.get(stage.start, -1)
    found: list[list[Stage]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for stage in stages:
        found[depth[stage.folder]].append(stage)
    return found
