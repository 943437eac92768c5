import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrial.data.names import clean, likeness, look_alikes, trimmed


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("  a ", "a"),
        ("a\u200b", "a"),
        ("\ufeffa \u200e", "a"),
        ("a\u00a0 b", "a b"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u200b", ""),
        # A joiner between letters is part of a word in Persian, and stays.
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u200c\u0634\u0648\u062f"),
    ],
)
def test_what_cannot_be_meant_goes(written, meant):
    assert clean(written) == meant


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text):
    once = clean(text)
    assert clean(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert trimmed(once) == once


@pytest.mark.parametrize(
    "names",
    [
        ("a", "A"),
        ("1", "1.0", "01", "+1", "1.00"),
        ("True", "yes", "YES", "y"),
        ("False", "no", "N"),
        ("no finding", "no_finding", "No-Finding"),
        ("\uff21", "A"),
        ("mel\u200banoma", "melanoma"),
        ("stra\u00dfe", "STRASSE"),
    ],
)
def test_look_alikes(names):
    assert look_alikes(names) == [list(names)]


@pytest.mark.parametrize(
    "names",
    [
        ("1", "10", "0.1", "-1", "1.01"),
        ("grade 1", "grade -1", "grade 2"),
        ("N", "S", "V", "F", "Q"),  # heart beats, after AAMI
        ("12345678901234567890", "12345678901234567891"),
        ("BENIGN", "BENIGN_WITHOUT_CALLBACK", "MALIGNANT"),
        ("1", "yes", "a"),
    ],
)
def test_names_that_are_different(names):
    assert look_alikes(names) == []


@given(st.lists(st.text(max_size=4), unique=True))
def test_every_name_is_in_one_set_at_most_and_alike_there(names):
    sets = look_alikes(names)
    named = [name for same in sets for name in same]
    assert len(named) == len(set(named))
    for same in sets:
        assert len({likeness(name) for name in same}) == 1
    assert {likeness(name) for name in named}.isdisjoint(
        likeness(name) for name in set(names) - set(named)
    )
