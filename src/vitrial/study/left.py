"""What a study has left to do, before anything is known of its data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vitrial.errors import VitrialError
from vitrial.protocol import Protocol
from vitrial.store.facts import Entry, chain_of
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Stage
from vitrial.store.study import load_study
from vitrial.study.versions import versions_of

Planner = Callable[[Protocol, dict[str, str]], list[Stage]]


@dataclass(frozen=True)
class Left:
    """A stage of one repetition, and its like.

    Attributes:
        stage: It.
        count: How many of its kind are left to do.
        arms: Names of those that need it.
    """

    stage: Stage
    count: int
    arms: frozenset[str]


def stages_left(protocol: Protocol, root: Path, planner: Planner) -> list[Left]:
    """What is left to do, one repetition for all, before anything is known of the data.

    Args:
        protocol: The experiment.
        root: The study's folder.
        planner: Makes the stages of a protocol.
    """
    # What one repetition takes, the others take. Nothing is known of the data yet, so that the
    # stages of the plan have other keys than they will have.
    once = protocol.model_copy(update={"repetitions": 1})
    unknown = dict.fromkeys(("data", "unlabeled", *protocol.sources), "unknown")
    stages, done = planner(once, unknown), _done(protocol, root)
    arms: dict[str, set[str]] = defaultdict(set)
    for run in stages:
        if run.kind in ("finetune", "tune"):
            for stage in chain_of(run, stages):
                arms[stage.key].add(run.arm.name)
    left = []
    for stage in stages:
        once_for_all = stage.repetition is None or stage.kind == "tune"
        of = stage.kind, stage.arm.name, Entry.of(stage).fraction
        count = (1 if once_for_all else protocol.repetitions) - done[of]
        if count > 0:
            left.append(Left(stage, count, frozenset(arms[stage.key])))
    return left


def _done(protocol: Protocol, root: Path) -> Counter[tuple[str, str, float]]:
    """How many stages of a kind, arm and fraction are done, of the same protocol and versions."""
    try:
        study = load_study(root)
    except VitrialError:  # there is none yet
        return Counter()
    if study.facts.protocol != protocol.hash():
        return Counter()
    folders = [(entry, RunFolder(root / entry.folder)) for entry in study.facts.stages]
    return Counter(
        (entry.kind, entry.arm, entry.fraction)
        for entry, folder in folders
        if folder.status == "done" and folder.stage().versions == versions_of(entry.kind)
    )
