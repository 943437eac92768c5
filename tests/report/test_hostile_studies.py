"""Studies that a page may stumble over: very many or very few of anything, hostile names."""

import pytest

from drawn_study import HOSTILE
from html_tables import parsed, tables_of, text_of
from vitrial.layout import PAGE, REPORT

LARGEST = 5_000_000
"""Bytes of a page that can still be mailed."""
OWN_SCRIPT = 15_000


@pytest.fixture
def read(drawn):
    return lambda name: (drawn(name).path / REPORT / PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["many_arms", "many_classes", "one_arm"])
def test_the_page_is_sound_small_and_self_contained(read, name):
    page = read(name)
    root = parsed(page)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert len(page.encode()) < LARGEST
    scripts = [script for script in root.iter("script") if script.get("type") is None]
    assert sum(len(text_of(script)) for script in scripts) < OWN_SCRIPT
    assert not any("alert(" in text_of(script) for script in root.iter("script"))
    sources = [e.get("src") or e.get("href") or "" for e in root.iter() if e.tag != "a"]
    assert all(source.startswith(("data:", "#")) for source in sources if source)
    assert not any(key.startswith("on") for element in root.iter() for key in element.attrib)


def test_many_arms_have_a_row_each_and_the_failed_run_its_reason(read):
    page = read("many_arms")
    tables = tables_of(page)
    assert len(tables["arms"]) == 60
    assert tables["arms"]["Runs"].tolist() == ["0"] + ["1"] * 59
    (failed,) = tables["failed-runs"].to_dict("records")
    assert (failed["Status"], failed["Why"]) == ("failed", "<b>the loss</b> is not finite")
    limits = tables["limits"].set_index("Limit")
    assert "1 failed" in limits.loc["Runs failed, skipped or not done", "What"]
    assert limits.loc["Few repetitions", "Found"] == "found"
    assert limits.loc["Few patients or lesions", "Found"] == "found"
    assert "&lt;script&gt;alert(&#39;description&#39;)" in page


def test_names_of_classes_are_kept_to_the_letter(read):
    tables = tables_of(read("many_classes"))
    shown = set(tables["classes"]["Class"])
    assert {name.strip() for name in HOSTILE} <= shown
    assert len(shown) == 40 + 2
    assert len(tables["confusion-1-numbers"]) == 40


def test_a_single_arm_has_no_comparison_and_says_what_that_leaves_open(read):
    page = read("one_arm")
    tables = tables_of(page)
    (arm,) = tables["arms"].to_dict("records")
    assert "±" not in arm["balanced accuracy"]
    assert 'id="verdict"' not in page
    limits = tables["limits"].set_index("Limit")
    assert "1 of each arm" in limits.loc["Few repetitions", "What"]
