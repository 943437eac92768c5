"""What an interval of a difference means, in the words of trials."""

from __future__ import annotations

import math
from typing import Literal

Verdict = Literal["equivalent", "superior", "inferior", "non-inferior", "inconclusive"]


def verdict(low: float, high: float, margin: float) -> Verdict:
    """Judge a difference by its interval (Piaggio et al., JAMA 2012, figure 1).

    `equivalent` if the whole interval lies within the margin: such a difference does not matter,
    whatever its sign. Otherwise `superior` if all of it is above zero, `inferior` if all is below;
    `non-inferior` if a loss of the margin or more is excluded; else `inconclusive`.

    Args:
        low: Lower end of the interval; positive values favor the new treatment.
        high: Upper end.
        margin: Smallest difference that matters.

    Raises:
        ValueError: The margin is negative, or the ends are the wrong way round.
    """
    if margin < 0 or low > high:
        raise ValueError(f"no interval or margin: [{low}, {high}], {margin}")
    if math.isnan(low) or math.isnan(high):
        return "inconclusive"
    if -margin < low and high < margin:
        return "equivalent"
    if low > 0:
        return "superior"
    if high < 0:
        return "inferior"
    return "non-inferior" if low > -margin else "inconclusive"
