"""Which arms no other arm beats in everything at once: benefit and cost."""

from __future__ import annotations

import numpy as np


def not_dominated(benefit: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Which arms are on the Pareto front.

    An arm is dominated if another is at least as good in its benefit and in every cost, and better
    in one of them. Values are taken as they are, whatever their uncertainty.

    Args:
        benefit: (arms,) higher is better; an arm without one (NaN) is dominated by none and
            dominates none, and is not on the front.
        costs: (arms, costs) lower is better.

    Returns:
        (arms,) booleans.
    """
    values = np.column_stack([benefit, -costs])
    at_least = (values[:, None] >= values[None]).all(axis=-1)
    better = (values[:, None] > values[None]).any(axis=-1)
    return np.asarray(~(at_least & better).any(axis=0) & ~np.isnan(benefit))
