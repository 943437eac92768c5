"""Each source of data, with each of its keys missing or wrong: a sentence, and an end."""

from typing import Any

import pytest

from vitrial.protocol import Protocol, faults
from vitrial.protocol.faults import STAND_INS, find_faults, sections

SECTIONS = sections()
SOURCES = [name for name, section in SECTIONS.items() if "source" in section.model_fields]
VALUES = {"root": ".", "table": "t.csv", "name": "dermamnist", "repo": "owner/name", "content": "x"}
WRONG: tuple[Any, ...] = (3.5, None, {"a": {}}, [[]])


def sound(source: str) -> dict[str, Any]:
    fields = SECTIONS[source].model_fields
    required = [key for key in fields if fields[key].is_required() and key != "source"]
    return {"source": source} | {key: VALUES[key] for key in required}


def protocol(data: dict[str, Any], place: str) -> dict[str, Any]:
    tree = {"name": "x", "arms": [{"backbone": "resnet18"}], "endpoint": "accuracy"}
    phantom = {"source": "phantom"}
    if place == "data":
        return tree | {"data": data}
    return tree | {"data": phantom, "sources": {"other": data}}


@pytest.fixture
def ends(monkeypatch):
    """Fails a search for faults that would not end."""
    validate, calls = faults._validate, []

    def counted(tree, folder):
        calls.append(tree)
        assert len(calls) < 20, "the search for faults does not end"
        return validate(tree, folder)

    monkeypatch.setattr(faults, "_validate", counted)


@pytest.mark.parametrize("place", ["data", "sources"])
@pytest.mark.parametrize("source", SOURCES)
def test_every_missing_key_is_named(source, place, tmp_path, ends):
    at = ("data",) if place == "data" else ("sources", "other")
    whole = sound(source)
    assert find_faults(protocol(whole, place), tmp_path, build=False).faults == []
    lacking = {"source": source}
    found = find_faults(protocol(lacking, place), tmp_path, build=False).faults
    assert sorted(found) == sorted(((*at, key), "is missing") for key in whole if key != "source")


KEYS = [(source, key) for source in SOURCES for key in SECTIONS[source].model_fields]


@pytest.mark.parametrize("place", ["data", "sources"])
@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize(("source", "key"), KEYS)
def test_every_key_of_a_wrong_type_is_named(source, key, value, place, tmp_path, ends):
    at = ("data",) if place == "data" else ("sources", "other")
    found = find_faults(protocol(sound(source) | {key: value}, place), tmp_path, build=False).faults
    optional = value is None and SECTIONS[source].model_fields[key].default is None
    assert bool(found) != optional
    assert all(location[: len(at) + 1] == (*at, key) for location, _ in found)


@pytest.mark.parametrize("repo", ["", "repo: 3"])
def test_a_protocol_that_hung(repo, tmp_path, ends):
    data = {"source": "huggingface"} | ({"repo": 3} if repo else {})
    ((location, _),) = find_faults(protocol(data, "data"), tmp_path, build=False).faults
    assert location == ("data", "repo")


def test_a_key_that_nothing_stands_in_for_ends_the_search(tmp_path, ends, monkeypatch):
    monkeypatch.delitem(STAND_INS, "repo")
    tree = protocol({"source": "huggingface"}, "data")
    assert find_faults(tree, tmp_path, build=False).faults == [(("data", "repo"), "is missing")]


@pytest.mark.parametrize("name", ["data", "unlabeled"])
def test_names_of_the_study_s_own_data_cannot_name_a_source(name):
    tree = protocol({"source": "phantom"}, "data") | {"sources": {name: {"source": "phantom"}}}
    with pytest.raises(ValueError, match=f"'{name}' is reserved"):
        Protocol.model_validate(tree)
