"""Looking for losses that are no longer finite."""

from __future__ import annotations

import torch

FINITE_EVERY = 50
"""Steps between looks at the loss, each of which waits for the device."""


def first_not_finite(losses: list[torch.Tensor]) -> int | None:
    """Place of the first loss that is infinite or not a number; None if all are finite."""
    bad = (~torch.isfinite(torch.stack(losses))).nonzero()
    return int(bad[0]) if len(bad) else None
