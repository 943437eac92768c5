"""Several claims judged at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of claims (Holm, Scandinavian Journal of Statistics 1979).

    The smallest is multiplied by the number of claims, the next by one less, and so on, each at
    least as large as the one before. A missing p-value (NaN) counts as a claim and stays missing.

    Args:
        p_values: Of each claim on its own.

    Returns:
        Adjusted, in the order given: a claim holds in the family where its own is at most alpha.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")  # NaN last
    steps = p[order] * (len(p) - np.arange(len(p)))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in adjusted]
