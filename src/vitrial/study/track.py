"""Telling trackers how a study's stages train: a listener that reads the store.

What an epoch gave lies in the stage's folder before its event is told. So trackers are given what
lies there, whichever process trained, and a resumed stage logs only what the tracker lacks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vitrial.events import EpochEnded, Event, Note, StageEnded, listening_too, tell
from vitrial.layout import TRACKED
from vitrial.protocol import Protocol
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Stage
from vitrial.trackers import TRACKERS, OpenRun, Tracked


@contextmanager
def tracking(protocol: Protocol, root: Path, stages: Iterable[Stage]) -> Iterator[None]:
    """Tell the protocol's trackers of the stages that are carried out in a block.

    A tracker that fails is said and left; training goes on.

    Args:
        protocol: Names the trackers.
        root: The study's folder.
        stages: Of the study.
    """
    by_name = {stage.name: stage for stage in stages}
    listeners = [Tracker(name, protocol.name, root, by_name) for name in protocol.trackers]
    with listening_too(*listeners):
        try:
            yield
        finally:
            for listener in listeners:
                listener.close()


@dataclass
class Tracker:
    """A listener that hands stages on to one tracker.

    Attributes:
        name: Its entry in `vitrial.trackers`.
        study: The study's name.
        root: The study's folder.
        stages: By what a person calls them.
        open: Of stages that have begun, by their names.
        failed: Whether it was left.
    """

    name: str
    study: str
    root: Path
    stages: dict[str, Stage]
    open: dict[str, OpenRun] = field(default_factory=dict)
    failed: bool = False

    def __call__(self, event: Event) -> None:
        """Hand on what is new of a stage."""
        match event:
            case EpochEnded(stage=stage):
                self._try(stage, None)
            case StageEnded(stage=stage, how=how) if how != "kept":
                self._try(stage, how == "done")

    def close(self) -> None:
        """Close the stages that were interrupted; they may be resumed."""
        for stage in list(self.open):
            self._try(stage, False)

    def _try(self, stage: str, done: bool | None) -> None:
        if self.failed or stage not in self.stages:
            return
        try:
            self._hand_on(self.stages[stage], done)
        except Exception as error:  # a server that cannot be reached must not end a training
            self.failed = True
            tell(Note(f"{self.name} is left: {type(error).__name__}: {error}. Training goes on."))

    def _hand_on(self, stage: Stage, done: bool | None) -> None:
        """What is new of a stage; `done` is None while it goes on."""
        run = self.open.get(stage.name)
        if run is None:
            folder = self.root / TRACKED / self.name
            tracked = Tracked(self.study, stage.name, stage.key, facts_of(stage), folder)
            run = self.open[stage.name] = TRACKERS.entry(self.name).start(tracked)
        rows = RunFolder(self.root / stage.folder).metrics().to_dict("records")
        for row in rows:
            epoch = int(row.pop("epoch"))
            if epoch > run.logged:
                run.log(epoch, {str(n): float(v) for n, v in row.items() if math.isfinite(v)})
                run.logged = epoch
        if done is not None:
            self.open.pop(stage.name).close(done)


def facts_of(stage: Stage) -> dict[str, str]:
    """What a stage is, by dotted name; of a file of weights nothing but that it is one."""
    origin = stage.arm.origin
    start = "file" if origin.kind == "file" else str(origin.base)
    facts: dict[str, Any] = {
        "kind": stage.kind,
        "backbone": stage.arm.backbone,
        "initialization": start + (f"+{origin.method}" if origin.method else ""),
        "repetition": stage.repetition,
        "endpoint": stage.endpoint,
        "seed": stage.seed,
        "recipe": stage.recipe.model_dump(mode="json"),
        "augment": stage.augment.model_dump(mode="json"),
        "data": stage.data,
    }
    return dict(_flat(facts))


def _flat(content: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        elif value is not None:
            yield f"{before}{name}", str(value)
