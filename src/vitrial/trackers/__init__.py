"""Trackers, one file each: where a laboratory follows its trainings beside vitrial's own report.

Each file has `EXTRA`, the extra of the package that it needs and the modules of that extra; and
`start(tracked)`, which gives an `OpenRun`. A file knows its tracker alone: which values there are,
and when, `vitrial.study.track` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vitrial.registry import Registry

TRACKERS = Registry("vitrial.trackers", ("EXTRA", "start"))


@dataclass(frozen=True)
class Tracked:
    """A stage as a tracker knows it.

    Attributes:
        study: Its study's name.
        stage: What a person calls it.
        key: Its key, the same whenever it is resumed.
        facts: What it is: arm, recipe and so on, by dotted name.
        folder: Where this tracker may keep files, below the study's folder.
    """

    study: str
    stage: str
    key: str
    facts: Mapping[str, str]
    folder: Path


class OpenRun(Protocol):
    """A stage that a tracker follows.

    Attributes:
        logged: The last epoch that the tracker has already, of an earlier process; 0 if none.
    """

    logged: int

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Take an epoch's values."""

    def close(self, done: bool) -> None:
        """The stage has ended, done or failed."""
