"""Collapse: a student and teacher that agree because they say the same of every image."""

from __future__ import annotations

from vitrial.train.checkpoint import History

PATIENCE = 5
"""Epochs in a row that have to show it."""
LEAST_SPREAD = 0.01
"""Of the features (see `spread`), which are about 1 if they use all directions."""
LEAST_INFORMATION = 0.05
"""In nats, of DINO's outputs about the image (see `output_information`)."""


def collapse(history: History, warmup_epochs: int) -> str | None:
    """What has collapsed, in a few words; None while there is no sign of it.

    Weights are expected to tell little before the warm-up is over, so these epochs do not count.

    Args:
        history: Rows with `spread`, and for DINO `information` and `entropy`.
        warmup_epochs: Of the recipe.
    """
    last = history[warmup_epochs:][-PATIENCE:]
    if len(last) < PATIENCE:
        return None
    if all(row["spread"] < LEAST_SPREAD for row in last):
        return "the features of all images are alike"
    if all(row.get("information", 1.0) < LEAST_INFORMATION for row in last):
        return "the outputs of all images are alike"
    return None
