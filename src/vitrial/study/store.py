"""A run's folder: complete or resumable, never ambiguous.

`run.json` (what it is, and on what) is written first, `result.json` last. In between lie the
checkpoint and the metrics so far; beside the result, the predictions and the best weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from filelock import FileLock, Timeout

from vitrial.atomic import PARTIAL, replacing, write_json, write_text
from vitrial.train.checkpoint import CHECKPOINT, History

Status = Literal["done", "running", "failed", "left"]


class RunFolder:
    """What lies on disk of one stage.

    Args:
        path: The folder; made when the stage begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def status(self) -> Status:
        """Done, running (in any process on this file system), failed, or left to do."""
        if (self.path / "result.json").exists():
            return "done"
        if self._is_locked():
            return "running"
        return "failed" if (self.path / "failure.json").exists() else "left"

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
                leftover.unlink()
            yield True
        finally:
            lock.release()

    def begin(self, identity: dict[str, Any]) -> None:
        """Write what the stage is, before anything is computed.

        The machines of earlier attempts, whose checkpoint the stage may go on from, stay listed.
        """
        path = self.path / "run.json"
        former = json.loads(path.read_text())["machines"] if path.exists() else []
        now = identity.pop("machine")
        machines = [machine for machine in former if machine != now] + [now]
        write_json(path, {**identity, "machines": machines})
        (self.path / "failure.json").unlink(missing_ok=True)

    def write_metrics(self, history: History) -> None:
        """Write the metrics of the epochs so far, a line each."""
        write_text(self.path / "metrics.jsonl", "".join(f"{json.dumps(r)}\n" for r in history))

    def metrics(self) -> pd.DataFrame:
        """The metrics of the epochs so far, a row each."""
        path = self.path / "metrics.jsonl"
        return pd.read_json(path, lines=True) if path.exists() else pd.DataFrame()

    def write_predictions(self, predictions: pd.DataFrame) -> None:
        """Write per-image predictions as Parquet."""
        with replacing(self.path / "predictions.parquet") as temporary:
            predictions.to_parquet(temporary, index=False)

    def predictions(self) -> pd.DataFrame:
        """Columns image, label, group, split, target, knn and a logit for each class."""
        return pd.read_parquet(self.path / "predictions.parquet")

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result, which makes the stage done; the checkpoint has served its purpose."""
        write_json(self.path / "result.json", result)
        (self.path / CHECKPOINT).unlink(missing_ok=True)

    def result(self) -> dict[str, Any]:
        """Best epoch, epochs, seconds, parameters."""
        return dict(json.loads((self.path / "result.json").read_text()))

    def fail(self, sentence: str, details: str = "") -> None:
        """Record why the stage ended early; a later `vitrial run` tries it again."""
        write_json(self.path / "failure.json", {"sentence": sentence, "details": details})

    def failure(self) -> str:
        """Why the stage ended early."""
        return str(json.loads((self.path / "failure.json").read_text())["sentence"])

    @property
    def _lock(self) -> FileLock:
        return FileLock(self.path / "lock")

    def _is_locked(self) -> bool:
        if not (self.path / "lock").exists():
            return False
        try:
            with self._lock.acquire(timeout=0):
                return False
        except Timeout:
            return True
        except PermissionError:  # a study that may only be read: nobody here runs it
            return False
