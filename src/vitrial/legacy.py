"""What version 0.1 wrote, read under today's names. Nothing is written in its words any more.

Records of version 0.1 have no `format`. Its keys were spelled in British English, and some files
had other names; what they say is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from vitrial.layout import ATTEMPTS, AUDIT, AUDIT_FACTS, STAGE

KEYS = {
    "centre_momentum": "center_momentum",
    "initialisation": "initialization",
    "labelled": "labeled",
    "mend": "fix",
    "normalisation": "normalization",
    "normalise": "normalize",
    "solarise": "solarize",
    "unlabelled": "unlabeled",
}
"""Keys of records and protocols, and columns of tables."""
NAMED_BY_USERS = ("sources", "skipped", "relabel")
"""Whose keys are names of the user's, which are nobody's to spell."""
METHODS = {"centre": "center"}
"""Values of the column `method`."""
FOLDERS = {AUDIT: "examination"}
RUN = "run.json"
FILES = {AUDIT_FACTS: "examination.json", STAGE: RUN, ATTEMPTS: RUN}


def translated(content: Any) -> Any:
    """The content of a record or protocol under today's keys."""
    if isinstance(content, list):
        return [translated(item) for item in content]
    if not isinstance(content, dict):
        return content
    if {"backbone", "base_lr"} <= content.keys():  # an arm
        rate = content["base_lr"]
        content = {key: value for key, value in content.items() if key != "base_lr"}
        content["recipe"] = None if rate is None else {"base_lr": rate}
    return {
        KEYS.get(key, key): (
            {name: translated(named) for name, named in value.items()}
            if key in NAMED_BY_USERS and isinstance(value, dict)
            else translated(value)
        )
        for key, value in content.items()
    }


def translated_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table under today's names of columns and methods."""
    table = table.rename(columns=KEYS)
    return table.replace({"method": METHODS}) if "method" in table else table


def path_of(path: Path) -> Path:
    """Where a file lies: at its place, or, if it is not there, where version 0.1 put it."""
    if path.exists():
        return path
    folder = path.parent.with_name(FOLDERS.get(path.parent.name, path.parent.name))
    former = folder / FILES.get(path.name, path.name)
    return former if former.exists() else path


def stage(run: dict[str, Any]) -> dict[str, Any]:
    """What a stage was, of its `run.json`; it is not carried out again, so that much may lack."""
    kind, labeled, data = run["kind"], run.get("labeled"), run["data"]
    return {
        "kind": kind,
        "arm": run["arm"],
        "repetition": run.get("repetition"),
        "dataset": run["arm"]["initialization"].partition(":")[2] if kind == "pretrain" else "data",
        "recipe": run["recipe"],
        "seed": run["seed"],
        "versions": (0, 0),
        "image": {"channels": run["channels"]},
        "augment": run.get("augment", {"crop": run["crop"]}),
        "data": data["fingerprint"] if isinstance(data, dict) else data,
        "start": run.get("start"),
        "labeled": labeled,
    }


def attempts(run: dict[str, Any]) -> dict[str, Any]:
    """Who was at work on a stage, of its `run.json`, which named the last program alone."""
    program = run.get("code", {})
    return {"attempts": [{"machine": one, "program": program} for one in run["machines"]]}


def result(content: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """What a stage gave, of its `result.json`; `run.json` named the classes."""
    return {**content, "classes": run["classes"] if run["kind"] != "selfsupervise" else []}


def facts(content: dict[str, Any]) -> dict[str, Any]:
    """What is known of a study, of its `study.json`."""
    return {**content, "program": content.get("code", {})}
