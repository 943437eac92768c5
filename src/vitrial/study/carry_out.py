"""Carrying out stages on this machine, one after the other, each once whoever else is at work."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vitrial.atomic import DiskFullError
from vitrial.errors import VitrialError
from vitrial.events import Note, StageEnded, counting, tell
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Stage
from vitrial.study.datasets import Datasets
from vitrial.study.run import run_stage

STAGES = "Stages"
"""What is counted while stages are carried out."""


def carry_out(
    root: Path,
    stages: Iterable[Stage],
    *,
    cache: Path | None = None,
    workers: int | None = None,
    datasets: Datasets | None = None,
) -> None:
    """Carry out stages that were laid down, in order; what fails is recorded, and the others go on.

    Those that are done, and those that another process is at, are left as they are. Damaged files
    are set aside, and what they held is recomputed.

    Args:
        root: The study's folder.
        stages: A stage after those that it starts from.
        cache: See `run_stage`, as are the others.
        workers: Likewise.
        datasets: Likewise.

    Raises:
        DiskFullError: Then the other stages cannot be written either.
    """
    stages = list(stages)
    with counting(STAGES, len(stages)) as advance:
        for stage in stages:
            tell(_carry_out(root, stage, cache, workers, datasets))
            advance(1)


def _carry_out(
    root: Path, stage: Stage, cache: Path | None, workers: int | None, datasets: Datasets | None
) -> StageEnded:
    folder = RunFolder(root / stage.folder)
    with folder.claim() as claimed:
        if not claimed:
            return StageEnded(stage.name, "kept", "running elsewhere")
        for sentence in folder.repair(stage.seed):
            tell(Note(sentence))
        folder.lay_down(stage)  # it may have been damaged
        if folder.status == "done":
            return StageEnded(stage.name, "kept", "done")
        start = "done" if stage.start is None else RunFolder(root / stage.start).status
        if start == "running":
            why = "its pretraining runs elsewhere; run this again after it"
            return StageEnded(stage.name, "kept", why)
        try:
            if start != "done":
                needed = RunFolder(root / str(stage.start)).stage()
                raise VitrialError(f"{needed.name} has not been completed.")
            run_stage(root, stage.key, cache=cache, workers=workers, datasets=datasets)
        except DiskFullError as error:
            with suppress(DiskFullError):
                folder.fail(str(error))
            raise
        except VitrialError as error:
            folder.fail(str(error))
            return StageEnded(stage.name, "failed", str(error))
        except Exception as error:  # recorded with its traceback; the other stages go on
            why = f"{type(error).__name__}: {error}"
            folder.fail(why, traceback.format_exc())
            return StageEnded(stage.name, "failed", why)
    return StageEnded(stage.name, "done")
