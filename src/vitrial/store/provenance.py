"""What a finished run stands on: its weights, what it and its pretraining cost, and where."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vitrial.store.facts import Entry, chain_of
from vitrial.store.run_folder import RunFolder


def provenance(root: Path, run: Entry, stages: tuple[Entry, ...]) -> dict[str, Any]:
    """What the records of a run, and of the stages that it starts from, say together.

    Args:
        root: The study's folder.
        run: Among `stages`.
        stages: All of the study.

    Returns:
        `weights` and `weights_sha256` of the file that the first stage started from, None without
        one; `pretraining_seconds`, what all earlier stages took, and `pretraining_share_seconds`,
        the same with each divided by the runs of the study that start from it; `total_seconds`,
        the run's own training and that share; `precision`, `device` and `program` (the versions by
        name), of all stages, joined by ` and ` where there were several.
    """
    chain = chain_of(run, stages)
    folders = [RunFolder(root / stage.folder) for stage in chain]
    results = [folder.result() for folder in folders]
    attempts = [attempt for folder in folders for attempt in folder.attempts()]
    machines = [attempt.machine for attempt in attempts]
    versions = [version for attempt in attempts for version in attempt.program.items()]
    seconds = [result.training_seconds for result in results]
    shares = [
        full / _runs_from(stage, stages)
        for stage, full in zip(chain[:-1], seconds[:-1], strict=True)
    ]
    weights = results[0].weights
    return {
        "weights": weights and (weights.tag or weights.file),
        "weights_sha256": weights and weights.sha256,
        "pretraining_seconds": sum(seconds[:-1]),
        "pretraining_share_seconds": sum(shares),
        "total_seconds": seconds[-1] + sum(shares),
        "precision": _joined(machine.precision for machine in machines),
        "device": _joined(
            machine.cpu if machine.device == "cpu" else machine.device for machine in machines
        ),
        "program": {
            name: _joined(number for other, number in versions if other == name)
            for name, _ in versions
        },
    }


def _runs_from(stage: Entry, stages: tuple[Entry, ...]) -> int:
    """How many runs of the study, done or planned, start from a stage."""
    runs = [other for other in stages if other.kind == "finetune"]
    return sum(stage in chain_of(run, stages) for run in runs)


def _joined(names: Iterable[str]) -> str:
    return " and ".join(sorted(set(names)))
