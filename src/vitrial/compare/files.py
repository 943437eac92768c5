"""Predictions that other programs wrote: CSV or Parquet files, one for each repetition."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from vitrial.errors import DataError, Problem, VitrialError

SUFFIXES = (".csv", ".parquet")
NAMES = {"image": "str", "group": "str"}
"""Columns that are texts, also where they look like numbers, such as 007."""


def read_repetitions(where: str) -> list[pd.DataFrame]:
    """The tables of an arm.

    Args:
        where: A CSV or Parquet file, a folder of them, or a pattern such as `cnn-*.csv`.

    Raises:
        VitrialError: There is no such file.
        DataError: Files cannot be read, with each of them.
    """
    path = Path(where).expanduser()
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix in SUFFIXES)
    elif path.is_file():
        files = [path]
    else:
        files = sorted(path.parent.glob(path.name))
    if not files:
        raise VitrialError(
            f"{where}: no such file; name a CSV or Parquet file, a folder of them, or a pattern "
            "in quotes such as 'cnn-*.csv'."
        )
    tables, problems = [], []
    for file in files:
        try:
            csv = file.suffix == ".csv"
            table = pd.read_csv(file, dtype=NAMES) if csv else pd.read_parquet(file)
            named = {k: v for k, v in NAMES.items() if k in table}
            tables.append(table.astype(named))
        except (OSError, ValueError) as error:
            first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
            fix = "name CSV or Parquet files of predictions"
            problems.append(Problem(str(file), f"cannot be read: {first_line}", fix))
    if problems:
        raise DataError("Predictions cannot be read.", problems)
    return tables
