"""What a finished run stands on: its weights, what it and its pretraining cost, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vitrial.store.run_folder import RunFolder


def provenance(root: Path, run: dict[str, Any], stages: list[dict[str, Any]]) -> dict[str, Any]:
    """What the records of a run, and of the stages that it starts from, say together.

    Args:
        root: The study's folder.
        run: The run's entry in `study.json`.
        stages: All entries.

    Returns:
        `weights` and `weights_sha256` of the file that the first stage started from, None without
        one; `pretraining_seconds`, what all earlier stages took, and `pretraining_share_seconds`,
        the same with each divided by the runs of the study that start from it; `total_seconds`,
        the run's own training and that share; `precision`, `device` and `program` (the versions by
        name), of all stages, joined by ` and ` where there were several.
    """
    chain = chain_of(run, stages)
    results = [RunFolder(root / stage["folder"]).result() for stage in chain]
    seconds = [result["training_seconds"] for result in results]
    shares = [
        full / _runs_from(stage, stages)
        for stage, full in zip(chain[:-1], seconds[:-1], strict=True)
    ]
    weights = results[0].get("weights") or {}
    records = [RunFolder(root / stage["folder"]).identity() for stage in chain]
    machines = [machine for record in records for machine in record["machines"]]
    programs = [record.get("code", {}) for record in records]
    return {
        "weights": weights.get("tag") or weights.get("file"),
        "weights_sha256": weights.get("sha256"),
        "pretraining_seconds": sum(seconds[:-1]),
        "pretraining_share_seconds": sum(shares),
        "total_seconds": seconds[-1] + sum(shares),
        "precision": _joined(machine["precision"] for machine in machines),
        "device": _joined(
            machine["cpu"] if machine["device"] == "cpu" else machine["device"]
            for machine in machines
        ),
        "program": {
            name: _joined(program[name] for program in programs if name in program)
            for name in dict.fromkeys(name for program in programs for name in program)
        },
    }


def chain_of(stage: dict[str, Any], stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of the stages that it starts from, the first first, and its own."""
    by_folder = {other["folder"]: other for other in stages}
    chain = [stage]
    while (start := chain[0].get("start")) is not None:
        chain.insert(0, by_folder[start])
    return chain


def _runs_from(stage: dict[str, Any], stages: list[dict[str, Any]]) -> int:
    """How many runs of the study, done or planned, start from a stage."""
    runs = [other for other in stages if other["kind"] == "finetune"]
    return sum(stage["folder"] in {s["folder"] for s in chain_of(run, stages)} for run in runs)


def _joined(names: Any) -> str:
    return " and ".join(sorted(set(names)))
