"""What `study.json` says of a study: its stages, its data, and which program laid it down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from vitrial.data.flow import Flow
from vitrial.store.stage import Kind, Stage


@dataclass(frozen=True)
class Entry:
    """A stage as the study lists it.

    Attributes:
        folder: Below the study's.
        kind: See `Stage`.
        name: What a person calls it.
        arm: The arm's name.
        backbone: Of the arm.
        initialization: Of the arm.
        repetition: From 1; None for what all repetitions share.
        start: The folder of the stage that it starts from.
        fraction: Of the training images that it sees.
    """

    folder: str
    kind: Kind
    name: str
    arm: str
    backbone: str
    initialization: str
    repetition: int | None
    start: str | None
    fraction: float = 1.0

    @classmethod
    def of(cls, stage: Stage) -> Entry:
        """The entry of a stage."""
        arm = stage.arm
        return cls(
            folder=stage.folder,
            kind=stage.kind,
            name=stage.name,
            arm=arm.name,
            backbone=arm.backbone,
            initialization=str(arm.origin),
            repetition=stage.repetition,
            start=stage.start,
            fraction=1.0 if stage.fraction is None else stage.fraction.share,
        )


@dataclass(frozen=True)
class Facts:
    """What is known of a study before its first run.

    Attributes:
        protocol: The protocol's hash.
        data: Name of the data set.
        classes: Class names, by class index.
        fingerprint: Of the data set.
        split: Hash of its split.
        stages: A stage after those that it starts from.
        program: The versions of what laid it down.
        skipped: Arms that were left out, by name, each with what was missing.
        left_out: How many problems led to images being left out.
        flow: How many images the source lists, and how many are left out for which reason; None of
            a study that an older program laid down.
        format: Of the record; 1 is version 0.1's.
    """

    protocol: str
    data: str
    classes: tuple[str, ...]
    fingerprint: str
    split: str
    stages: tuple[Entry, ...]
    program: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    flow: Flow | None = None
    format: int = 1


Step = TypeVar("Step", Stage, Entry)


def chain_of(stage: Step, stages: Iterable[Step]) -> list[Step]:
    """The stages that one starts from, the first first, and itself."""
    by_folder = {other.folder: other for other in stages}
    chain = [stage]
    while (start := chain[0].start) is not None:
        chain.insert(0, by_folder[start])
    return chain
