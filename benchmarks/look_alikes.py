"""False alarms of look-alike labels and groups on the tables of real data sets.

Every text column with up to 1,000 values is taken for labels, the columns that name patients or
lesions for groups. None of these tables is known to write one class in two ways: every set of
look-alikes is a false alarm, or a fault of the table, and is printed.

    python benchmarks/look_alikes.py [--root ../shared/data] [--quick] [--json PATH]
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from table import Row, publish

from vitrial.data.io.table import is_missing, read_table
from vitrial.data.names import clean, look_alikes
from vitrial.data.sources.medmnist import facts

LABELS = {
    "ham10000/HAM10000_metadata.csv": "dx",
    "isic2019/ISIC_2019_Training_Metadata.csv": "anatom_site_general",
    "aptos2019/train.csv": "diagnosis",
    "chestxray14/Data_Entry_2017.csv": "Finding Labels",
    **{
        f"cbis-ddsm/{kind}_case_description_{part}_set.csv": "pathology"
        for kind in ("mass", "calc")
        for part in ("train", "test")
    },
}
"""A table, and the column of it that is a label, or is used like one."""
GROUPS = ("lesion_id", "patient_id", "patient id", "Patient ID")
MOST = 1000


def main(
    root: Annotated[Path, typer.Option(help="Where the tables lie.")] = Path("../shared/data"),
    quick: Annotated[bool, typer.Option(help="The same: it takes seconds.")] = False,
    json: Annotated[Path | None, typer.Option(help="Where the rows are written.")] = None,
) -> None:
    """Print sets of look-alikes by kind of column."""
    names = {"labels": [list(known.classes) for known in facts().values()]}
    names |= {"other columns": [], "groups": []}
    for path, label in LABELS.items():
        if not (root / path).is_file():
            print(f"{root / path} is not there and is left out")
            continue
        table, _ = read_table((root / path).read_bytes(), path)
        for column in table:
            values = _values(table[column])
            kind = "labels" if column == label else "other columns"
            kind = "groups" if column in GROUPS else kind
            if kind == "groups" or len(values) <= MOST:
                names[kind].append(values)
    rows = []
    for kind, lists in names.items():
        alike = [same for values in lists for same in look_alikes(values)]
        for same in alike:
            print(f"{kind}: {' / '.join(map(repr, same))}")
        rows += [
            Row(f"{kind}: columns", len(lists), "columns"),
            Row(f"{kind}: distinct names", sum(map(len, lists)), "names"),
            Row(f"{kind}: sets that look alike", len(alike), "sets"),
        ]
    publish("Look-alikes in real tables", rows, json)


def _values(column: pd.Series) -> list[str]:
    return [value for value in dict.fromkeys(map(clean, column)) if not is_missing(value)]


if __name__ == "__main__":
    typer.run(main)
