"""How long a study still takes, by what its epochs have taken so far."""

from __future__ import annotations

from typing import Any

import pandas as pd

from vitrial.records import DamagedError
from vitrial.store.run_folder import RunFolder
from vitrial.store.study import Study

OPEN = ("left", "running", "damaged")
"""Of these, a stage is still to be carried out; what failed is tried again by a later command."""


def seconds_left(study: Study) -> float | None:
    """Estimate the seconds until every stage is done; None before the first epoch is.

    A stage has as many epochs as the finished ones of its kind and backbone had on average, or as
    its recipe allows; an epoch takes what the epochs of that kind and backbone took so far, or of
    that kind, or any. As many stages go on at once as do now.
    """
    rows = study.status().query("status != 'skipped'").to_dict("records")
    stages = pd.DataFrame([_stage(study, row) for row in rows])
    unfinished = stages[stages["status"].isin(OPEN)]
    if unfinished.empty:
        return 0.0
    begun, done = stages[stages["epochs"] > 0], stages[stages["status"] == "done"]
    if begun.empty:
        return None
    total = 0.0
    for stage in unfinished.to_dict("records"):
        alike = _alike(begun, stage, "kind", "backbone")
        for one in (_alike(begun, stage, "kind"), begun):
            alike = one if alike.empty else alike
        pace = alike["seconds"].sum() / (alike["epochs"] * alike["fraction"]).sum()
        finished = _alike(done, stage, "kind", "backbone")["epochs"]
        epochs = stage["most"] if finished.empty else finished.mean()
        total += max(0.0, epochs - stage["epochs"]) * pace * stage["fraction"]
    return total / max(1, (stages["status"] == "running").sum())


def _alike(stages: pd.DataFrame, stage: dict[Any, Any], *keys: str) -> pd.DataFrame:
    for key in keys:
        stages = stages[stages[key] == stage[key]]
    return stages


def _stage(study: Study, row: dict[Any, Any]) -> dict[Any, Any]:
    """What the estimate needs of a stage: besides its status the seconds that it took so far."""
    folder = RunFolder(study.path / str(row["folder"]))
    try:
        metrics, most = folder.metrics(), folder.stage().recipe.epochs
    except DamagedError:
        metrics, most = pd.DataFrame(), 0
    seconds = float(metrics["seconds"].sum()) if "seconds" in metrics else 0.0
    kept = {key: row[key] for key in ("kind", "backbone", "fraction", "status")}
    return {**kept, "epochs": len(metrics), "seconds": seconds, "most": most}
