"""What version 0.1 wrote, read under today's names. Nothing is written in its words any more.

Records of version 0.1 have no `format`. Its keys were spelled in British English, and some files
had other names; what they say is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from vitrial.layout import AUDIT, AUDIT_FACTS

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
FILES = {AUDIT_FACTS: "examination.json"}


def translated(content: Any) -> Any:
    """The content of a record or protocol under today's keys."""
    if isinstance(content, list):
        return [translated(item) for item in content]
    if not isinstance(content, dict):
        return content
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
