from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrial.protocol.initialization import Initialization, parse_initialization

STARTS = {
    "random": ("random", ""),
    "imagenet": ("imagenet", ""),
    "imagenet:tv_in1k": ("imagenet", "tv_in1k"),
    "timm": ("timm", ""),
    "timm:augreg_in21k": ("timm", "augreg_in21k"),
    "transfer:fundus": ("transfer", "fundus"),
    "file:/data/a+b.pth": ("file", "/data/a+b.pth"),
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("method", [None, "dino", "byol"])
def test_every_start_with_every_method(start, method):
    found = parse_initialization(start + (f"+{method}" if method else ""))
    assert found == Initialization(*STARTS[start], method)
    assert found.base == Initialization(*STARTS[start])


def test_names_are_the_expression_but_of_a_file_its_name_alone():
    assert str(parse_initialization("transfer:fundus+byol")) == "transfer:fundus+byol"
    assert str(parse_initialization("timm:a1_in1k")) == "timm:a1_in1k"
    # One row of the paper's table, whatever the tag of each backbone's weights is.
    assert str(parse_initialization("imagenet:tv_in1k+dino")) == "imagenet+dino"
    assert str(parse_initialization("file:/secret/place/w.pth+dino")) == "file:w.pth+dino"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("imagnet", "not 'imagnet', did you mean imagenet?"),
        ("random+dno", "not '\\+dno', did you mean dino?"),
        ("random+dino+byol", "not 'random\\+dino'"),
        ("random+", "not '\\+'"),
        ("random:x", "must be random, imagenet, imagenet:TAG, timm, timm:TAG, file:PATH or tran"),
        ("imagenet:", "not 'imagenet:'"),
        ("transfer", "not 'transfer'"),
        ("file:", "not 'file:'"),
        ("", "not ''"),
    ],
)
def test_what_is_none_of_them_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_initialization(text)


@given(st.text())
def test_any_text_is_read_or_refused_with_a_sentence(text):
    with suppress(ValueError):
        assert parse_initialization(text).kind in text
