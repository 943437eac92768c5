"""A run's folder: complete or resumable, never ambiguous.

`stage.json` (what it is) is written when the study is laid down, `attempts.json` (who is at work
on it) when it begins, `result.json` last. In between lie the checkpoints and the metrics so far;
beside the result, the predictions and the best weights, whose checksums it holds.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
from filelock import FileLock, Timeout

from vitrial import legacy
from vitrial.atomic import PARTIAL, remove, replacing, write_json, write_text
from vitrial.errors import VitrialError
from vitrial.layout import (
    ATTEMPTS,
    CHECKPOINTS,
    FAILURE,
    LOCK,
    METRICS,
    PREDICTIONS,
    RESULT,
    STAGE,
    STUDY,
    TUNING,
    WEIGHTS,
)
from vitrial.records import (
    FILES,
    DamagedError,
    Record,
    check_bytes,
    check_size,
    read_record,
    read_table,
    read_typed,
    reading,
    set_aside,
    write_typed,
)
from vitrial.store.stage import Attempt, Attempts, Result, Stage

if TYPE_CHECKING:
    from vitrial.train.checkpoint import History

Status = Literal["done", "running", "damaged", "failed", "left"]

AGAIN = {
    METRICS: "they are rewritten",
    PREDICTIONS: "they are recomputed from the weights",
    WEIGHTS: "the stage is trained again",
}
"""What follows where a file of a finished stage is damaged."""


class RunFolder:
    """What lies on disk of one stage.

    Reading raises `DamagedError` where a file is missing or is not what was written there.

    Args:
        path: The folder; made when the stage begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def status(self) -> Status:
        """Done (all that it promises is there), running in any process, or how it was left."""
        finished = self.is_finished
        if finished and not self.damage():
            return "done"
        if self._is_locked():
            return "running"
        if finished:
            return "damaged"
        return "failed" if (self.path / FAILURE).exists() else "left"

    @property
    def is_finished(self) -> bool:
        """Whether it has a result, be it damaged."""
        return (self.path / RESULT).exists()

    def damage(self) -> str:
        """What is wrong with a finished stage as far as sizes tell, in a sentence; or nothing."""
        try:
            record = self._record()
            self.stage()
            self.attempts()
            for name in record.get(FILES, {}):
                if name != METRICS:  # of which the result holds a copy
                    check_size(self.path / name, record, self._way_out)
        except DamagedError as error:
            return str(error)
        return ""

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """Hold the folder for this process; gives False if another process holds it.

        The system frees the lock when a process dies, however it dies; half-written files that it
        left behind are removed.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = self._lock
        try:
            lock.acquire(timeout=1)  # whoever asks for the status holds it for an instant
        except Timeout:
            yield False
            return
        try:
            for leftover in self.path.glob(f"{PARTIAL}*"):
                remove(leftover)
            yield True
        finally:
            lock.release()

    def repair(self, seed: int) -> list[str]:
        """Set aside every damaged file, so that the stage can be carried out again without it.

        Args:
            seed: Of the training, by which its checkpoints are known from others'.

        Returns:
            A sentence for each: which file, what is wrong, and what follows.
        """
        said: list[str] = []

        def is_sound(name: str, check: Callable[[Path, str], object], otherwise: str) -> bool:
            path = self.path / name
            try:
                check(path, otherwise)
            except DamagedError as error:
                said.append(str(error))
                if path.exists():
                    set_aside(path)
                return False
            return True

        for name, read in ((STAGE, _read_stage), (ATTEMPTS, _read_attempts)):
            if self.is_finished or (self.path / name).exists():
                is_sound(name, read, "it is rewritten")
        if self.is_finished and is_sound(RESULT, _read_result, "the stage is carried out again"):
            record = self._record()
            for name in record.get(FILES, {}):
                is_sound(name, lambda path, way: check_bytes(path, record, way), AGAIN[name])
            if "history" in record and not (self.path / METRICS).exists():
                self.write_metrics(record["history"])
            return said
        if (self.path / METRICS).exists():
            is_sound(METRICS, _read_metrics, AGAIN[METRICS])
        from vitrial.train.checkpoint import check_checkpoint  # takes torch

        for path in filter(Path.exists, map(self.path.joinpath, CHECKPOINTS)):
            otherwise = "it is set aside, and training resumes from the one before or the start"
            if is_sound(path.name, lambda p, way: check_checkpoint(p, seed, way), otherwise):
                break
        return said

    def lay_down(self, stage: Stage) -> None:
        """Write what the stage is, unless that is there already."""
        try:
            if self.stage() == stage:
                return
        except DamagedError:
            pass
        write_typed(self.path / STAGE, stage)

    def stage(self) -> Stage:
        """What the stage is."""
        return _read_stage(self.path / STAGE, self._way_out)

    def begin(self, attempt: Attempt) -> None:
        """Write who is at work, before anything is computed.

        Earlier attempts, whose checkpoint this one may go on from, stay listed.
        """
        former = self.attempts() if (self.path / ATTEMPTS).exists() else ()
        others = tuple(one for one in former if one != attempt)
        write_typed(self.path / ATTEMPTS, Attempts((*others, attempt)))
        (self.path / FAILURE).unlink(missing_ok=True)

    @property
    def was_begun(self) -> bool:
        """Whether anybody has been at work on it."""
        return legacy.path_of(self.path / ATTEMPTS).exists()

    def attempts(self) -> tuple[Attempt, ...]:
        """Who was at work on it: see `begin`."""
        return _read_attempts(self.path / ATTEMPTS, self._way_out).attempts

    def write_metrics(self, history: History) -> None:
        """Write the metrics of the epochs so far, a line each."""
        write_text(self.path / METRICS, "".join(f"{json.dumps(r)}\n" for r in history))

    def metrics(self) -> pd.DataFrame:
        """The metrics of the epochs so far, a row each."""
        if self.is_finished and "history" in (record := self._record()):
            return pd.DataFrame(record["history"])
        path = self.path / METRICS
        return _read_metrics(path, self._way_out) if path.exists() else pd.DataFrame()

    def write_predictions(self, predictions: pd.DataFrame) -> None:
        """Write per-image predictions as Parquet."""
        with replacing(self.path / PREDICTIONS) as temporary:
            predictions.to_parquet(temporary, index=False)

    def predictions(self) -> pd.DataFrame:
        """Columns image, label, group, split, target, knn and a logit for each class."""
        return read_table(self.path / PREDICTIONS, self._record(), self._way_out)

    def weights(self) -> Path:
        """The file of a finished stage's weights, every byte verified."""
        check_bytes(self.path / WEIGHTS, self._record(), self._way_out)
        return self.path / WEIGHTS

    def trained(self) -> History | None:
        """The metrics of a training that is over and whose weights are whole; None otherwise."""
        try:
            self.weights()
            return self.result().history
        except DamagedError:
            return None

    def finish(self, result: Result) -> None:
        """Write the result, which makes the stage done, and remove the checkpoints."""
        self.write_metrics(result.history)
        files = [n for n in (METRICS, WEIGHTS, PREDICTIONS) if (self.path / n).exists()]
        write_typed(self.path / RESULT, result, files)
        for path in map(self.path.joinpath, CHECKPOINTS):
            path.unlink(missing_ok=True)

    def result(self) -> Result:
        """What `finish` wrote."""

        def former(content: Record) -> Record:
            return legacy.result(content, read_record(legacy.path_of(self.path / STAGE), way_out))

        way_out = self._way_out
        return read_typed(Result, self.path / RESULT, way_out, former)

    def _record(self) -> Record:
        """The result as it lies on disk, with the checksums of the files beside it."""
        return _read_result(self.path / RESULT, self._way_out)

    def fail(self, sentence: str, details: str = "") -> None:
        """Record why the stage ended early; a later `vitrial run` tries it again."""
        write_json(self.path / FAILURE, {"sentence": sentence, "details": details})

    def failure(self) -> str:
        """Why the stage ended early."""
        try:
            return str(read_record(self.path / FAILURE, self._way_out, ("sentence",))["sentence"])
        except DamagedError as error:
            return str(error)

    @property
    def _way_out(self) -> str:
        """What the user can do about a damaged file of the stage."""
        study = self.path.parents[1]
        if self.path.parent.name == TUNING or not (study / STUDY).exists():
            return "repeat the command that wrote it, which recomputes it"
        return f"`vitrial run {shlex.quote(str(study))}` recomputes it"

    @property
    def _lock(self) -> FileLock:
        return FileLock(self.path / LOCK)

    def _is_locked(self) -> bool:
        if not (self.path / LOCK).exists():
            return False
        try:
            with self._lock.acquire(timeout=0):
                return False
        except Timeout:
            return True
        except PermissionError:  # a study that may only be read: nobody here runs it
            return False


def stage_folder(study: Path, key: str) -> RunFolder:
    """The folder of a stage: that whose name ends in its key, or, where it stands alone, `study`.

    Raises:
        VitrialError: There is none.
    """
    found = [path.parent for path in study.glob(f"*/*-{key}/{STAGE}")]
    if not found and (study / STAGE).exists() and RunFolder(study).stage().key == key:
        found = [study]
    if not found:
        raise VitrialError(f"{study} has no stage {key}: `vitrial run` plans a study's stages.")
    return RunFolder(found[0])


def lay_down(root: Path, stages: Iterable[Stage]) -> None:
    """Write what each stage is to its folder below the study's."""
    for stage in stages:
        RunFolder(root / stage.folder).lay_down(stage)


def _read_stage(path: Path, way_out: str) -> Stage:
    return read_typed(Stage, path, way_out, legacy.stage)


def _read_attempts(path: Path, way_out: str) -> Attempts:
    return read_typed(Attempts, path, way_out, legacy.attempts)


def _read_result(path: Path, way_out: str) -> Record:
    return read_record(path, way_out, ("epochs",))


def _read_metrics(path: Path, way_out: str) -> pd.DataFrame:
    with reading(path, way_out):
        rows = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
        if not {"epoch", "loss"} <= {*rows} and not {"epoch", "score", "train_loss"} <= {*rows}:
            raise ValueError("these are not a training's metrics")
    return rows
