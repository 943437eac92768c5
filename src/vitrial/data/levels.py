"""Columns of a manifest as levels that can be counted: words as they are, numbers in bands."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from vitrial.data.io.table import MISSING
from vitrial.data.manifest import INTERNAL, in_order

UNKNOWN = "unknown"
"""The level of missing values."""
BANDS, MOST_NUMBERS = 4, 10
"""Numbers of more than 10 different values are counted in 4 bands of about as many images."""


def metadata_columns(manifest: pd.DataFrame) -> list[str]:
    """The columns that tell something else of an image than its file, class, group and split."""
    return [str(name) for name in manifest.columns if name not in INTERNAL]


def levels(column: pd.Series) -> pd.Series:
    """A column's levels, as a categorical series in order; missing values are the last one.

    Numbers, also those written as texts, are put in bands between quartiles if there are more than
    10 different ones.
    """
    texts = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    missing = texts.str.lower().isin(MISSING)
    numbers = pd.to_numeric(column.mask(missing), errors="coerce").astype(np.float64)
    known = numbers[~missing]
    if known.notna().all() and known.nunique() > MOST_NUMBERS:
        edges = np.unique(np.quantile(known, np.arange(1, BANDS) / BANDS, method="lower"))
        names = [f"up to {edges[0]:g}"]
        names += [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
        names += [f"over {edges[-1]:g}"]
        # An edge belongs to the band below it.
        band = np.searchsorted(edges, numbers.fillna(edges[0]))
        texts = pd.Series(np.array(names, dtype=object)[band], column.index)
    else:
        names = in_order(texts[~missing])
    ordered = [*(name for name in names if name != UNKNOWN), UNKNOWN]
    return pd.Series(pd.Categorical(texts.mask(missing, UNKNOWN), ordered), column.index)
