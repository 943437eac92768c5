"""The finished runs of a study, each file read once, and the tables that are computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from vitrial.compare.scores import run_scores
from vitrial.compare.table import arm_table
from vitrial.protocol import Protocol
from vitrial.store.facts import Entry
from vitrial.store.provenance import provenance
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Result


@dataclass(frozen=True)
class FinishedRun:
    """A run that has a result; what is asked of it is read, verified and kept.

    Reading raises `DamagedError` where a file is missing or is not what was written there.

    Attributes:
        root: The study's folder.
        entry: What the run is.
        stages: All of the study, of which the run may start from some.
    """

    root: Path
    entry: Entry
    stages: tuple[Entry, ...]

    @property
    def folder(self) -> RunFolder:
        """Where it lies."""
        return RunFolder(self.root / self.entry.folder)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """See `RunFolder.predictions`."""
        return self.folder.predictions()

    @cached_property
    def test(self) -> pd.DataFrame:
        """The predictions of the test split."""
        return self.predictions[self.predictions["split"] == "test"]

    @cached_property
    def result(self) -> Result:
        """What the run gave."""
        return self.folder.result()

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What it stands on: see `vitrial.store.provenance`."""
        return provenance(self.root, self.entry, self.stages)


def on_all_images(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """The runs that saw all training images."""
    return [run for run in runs if run.entry.fraction == 1]


def scores_of(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """A row per run and split: every metric, its cost and origin."""
    return run_scores(
        (asdict(run.entry), run.predictions, asdict(run.result) | run.provenance) for run in runs
    )


def table_of(protocol: Protocol, scores: pd.DataFrame) -> pd.DataFrame:
    """A row per arm of a protocol: see `vitrial.compare.table.arm_table`."""
    arms = [(str(arm.origin), arm.backbone, arm.name) for arm in protocol.arms]
    return arm_table(scores, protocol.endpoint, arms)
