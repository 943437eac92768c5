import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrial.compare.verdict import verdict

ENDS = st.floats(-1, 1, width=32)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.03, 0.08, "superior"),
        (0.005, 0.03, "superior"),
        (0.001, 0.019, "equivalent"),  # a gain, but one that does not matter
        (-0.019, 0.019, "equivalent"),
        (-0.01, 0.05, "non-inferior"),
        (-0.02, 0.05, "inconclusive"),  # the margin itself is not excluded
        (-0.05, 0.05, "inconclusive"),
        (-0.05, -0.01, "inferior"),
        (math.nan, math.nan, "inconclusive"),
    ],
)
def test_words_for_intervals_at_a_margin_of_2_hundredths(low, high, words):
    assert verdict(low, high, 0.02) == words


@given(ENDS, ENDS, st.floats(0, 0.5, width=32))
def test_exchanging_the_arms_exchanges_superior_and_inferior(a, b, margin):
    low, high = sorted((a, b))
    exchanged = {"superior": "inferior", "inferior": "superior"}
    found, other = verdict(low, high, margin), verdict(-high, -low, margin)
    if found in ("equivalent", "superior", "inferior"):
        assert other == exchanged.get(found, found)


def test_what_is_no_interval_is_refused():
    for bad in ((0.1, 0.0, 0.02), (0.0, 0.1, -0.02)):
        with pytest.raises(ValueError, match="no interval or margin"):
            verdict(*bad)
