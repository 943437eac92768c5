import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import plots
from vitrial.report.figures.svg import (
    SERIES,
    WIDTH,
    Scale,
    color,
    digits,
    element,
    line,
    mark,
    picture,
    scale,
    shortened,
    text,
    width_of,
)

VALUES = st.lists(st.floats(-1e6, 1e6).filter(lambda v: abs(v) > 1e-6), min_size=1, max_size=8)


@given(VALUES)
def test_every_value_has_a_place_inside_and_ticks_are_round_few_and_in_order(values):
    found = scale(values, 10, 110)
    assert all(10 <= found(value) <= 110 for value in values)
    ticks = found.ticks()
    assert len(ticks) <= 6
    assert ticks == sorted(ticks)
    rounding = 1e-6 * (found.high - found.low)
    assert all(found.low - rounding <= tick <= found.high + rounding for tick in ticks)
    assert len(set(digits(ticks))) == len(ticks)


@given(st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=8))
def test_a_logarithmic_scale_too(values):
    found = scale(values, 10, 110, log=True)
    assert all(10 <= found(value) <= 110 for value in values)
    assert len(found.ticks()) <= 6


def test_ticks_are_multiples_of_one_two_or_five():
    assert Scale(0, 1, 0, 1).ticks() == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert Scale(0.43, 0.58, 0, 1).ticks() == [0.45, 0.5, 0.55]
    assert Scale(80, 12_000, 0, 1, log=True).ticks() == [100, 300, 1000, 3000, 10_000]
    assert Scale(0.1, 1e7, 0, 1, log=True).ticks() == [0.1, 10, 1000, 1e5, 1e7]
    assert Scale(21, 27, 0, 1, log=True).ticks() == [22, 24, 26], "no power of ten is near"


def test_digits_are_as_many_as_are_needed():
    assert digits([0.1, 0.15, 0.2]) == ["0.10", "0.15", "0.20"]
    assert digits([-1000, 0, 1000]) == ["−1,000", "0", "1,000"]


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, 3], [2, 2]])
def test_a_scale_of_nothing_of_no_numbers_and_of_one_value(values):
    found = scale(values, 0, 100)
    assert found.low < found.high
    assert found.ticks()


def test_a_line_is_broken_and_a_mark_left_out_where_there_is_no_number():
    drawn = line([(0, 0), (1, 1), (2, math.nan), (3, 3), (4, 4)], "line")
    assert 'd="M0 0L1 1M3 3L4 4"' in drawn
    assert mark(math.nan, 1, 0) == ""


def test_a_picture_has_a_name_and_escapes_whatever_it_shows():
    evil = "</title><script>alert('x')</script> \"q\" 病 😀"
    drawn = picture("p", evil, evil, 40, [text(0, 10, evil), element("g", evil, class_=evil)])
    (svg,) = plots(drawn)
    assert "<script" not in drawn
    assert svg.get("role") == "img"
    names = svg.get("aria-labelledby").split()
    assert [e.get("id") for e in svg.iter() if e.get("id")] == names
    assert [e.text for e in svg if e.tag in ("title", "desc", "text")] == [evil] * 3


@given(st.text(max_size=80), st.floats(30, WIDTH))
def test_words_are_cut_to_their_room_in_the_middle(words, room):
    cut = shortened(words, room)
    assert width_of(cut) <= room or len(cut) <= 3
    if cut != words:
        assert cut[0] == words[0]
        assert "…" in cut


def test_series_differ_by_shape_not_by_color_alone():
    drawn = [str(mark(0, 0, number)) for number in range(SERIES)]
    shapes = {one.replace(color(number), "") for number, one in enumerate(drawn)}
    assert len(shapes) == SERIES
