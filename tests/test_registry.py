"""Registries that are folders: what is in them, and what is wrong with an entry."""

import sys
from types import ModuleType

import pytest

from vitrial.errors import VitrialError
from vitrial.registry import Registry

SOUND = "NAME, ORDER = 'one', 2\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty package `entries` of two folders, of which the first is given."""
    places = [tmp_path / "ours", tmp_path / "theirs"]
    for place in places:
        place.mkdir()
    package = ModuleType("entries")
    package.__path__ = [str(place) for place in places]
    monkeypatch.setitem(sys.modules, "entries", package)
    yield places[0]
    for name in [name for name in sys.modules if name.startswith("entries.")]:
        del sys.modules[name]


REGISTRY = Registry("entries", ("NAME",))


def test_names_are_those_of_files_and_folders_and_nothing_is_imported(folder):
    (folder / "two.py").write_text("raise RuntimeError")
    (folder / "one").mkdir()
    (folder / "one" / "__init__.py").write_text("")
    (folder / "_shared.py").write_text("")
    (folder / "words.yaml").write_text("")
    assert REGISTRY.names() == ("one", "two")


def test_an_entry_is_its_module(folder):
    (folder / "one.py").write_text(SOUND)
    assert REGISTRY.entry("one").NAME == "one"


def test_an_entry_may_be_a_file_of_a_folder(folder):
    (folder / "one").mkdir()
    (folder / "one" / "__init__.py").write_text("")
    (folder / "one" / "recipe.py").write_text(SOUND)
    assert Registry("entries", ("NAME",), file="recipe").entry("one").NAME == "one"


def test_entries_come_in_their_own_order(folder):
    for name, order in {"a": 3, "b": 1, "c": 2, "d": 1}.items():
        (folder / f"{name}.py").write_text(f"NAME, ORDER = '{name}', {order}\n")
    assert list(REGISTRY.entries()) == ["b", "d", "c", "a"]


def test_an_unknown_name_is_answered_with_the_nearest(folder):
    (folder / "gradcam.py").write_text(SOUND)
    with pytest.raises(VitrialError, match="no 'gradcma', did you mean gradcam"):
        REGISTRY.entry("gradcma")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("ORDER = 2\n", r"one\.py defines no NAME: add it"),
        ("import nothing_of_this_name\n", r"entries/one\.py cannot be imported: ModuleNotFound"),
        ("NAME = (\n", r"entries/one\.py cannot be imported: SyntaxError"),
    ],
)
def test_a_broken_entry_is_named_by_its_file(folder, content, sentence):
    (folder / "one.py").write_text(content)
    with pytest.raises(VitrialError, match=sentence):
        REGISTRY.entry("one")


def test_two_entries_of_one_name_are_refused_with_both_files(folder):
    (folder / "one.py").write_text(SOUND)
    other = folder.with_name("theirs") / "one.py"
    other.write_text(SOUND)
    with pytest.raises(VitrialError, match="are both called one") as refused:
        REGISTRY.names()
    assert str(folder / "one.py") in str(refused.value)
    assert str(other) in str(refused.value)
