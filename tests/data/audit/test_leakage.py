import pandas as pd
import pytest

from vitrial.data.audit.leakage import (
    contradicting,
    equal_to_later_splits,
    join_groups,
    straddling_groups,
)


def manifest_of(*rows):
    return pd.DataFrame(rows, columns=["image", "label", "group", "sha256"])


def test_groups_that_share_a_file_are_joined_in_chains():
    manifest = manifest_of(
        ("1.png", "a", "A", "x"),
        ("2.png", "a", "B", "x"),
        ("3.png", "a", "B", "y"),
        ("4.png", "a", "C", "y"),
        ("5.png", "b", "D", "z"),
    )
    groups, notes = join_groups(manifest)
    assert groups.tolist() == ["A", "A", "A", "A", "D"]
    assert [note.where for note in notes] == ["1.png, 2.png", "3.png, 4.png"]
    assert not any(note.fatal for note in notes)


def test_contradicting_labels_are_said():
    _, notes = join_groups(manifest_of(("1.png", "a", "A", "x"), ("2.png", "b", "B", "x")))
    assert "different labels (a, b)" in notes[0].what


def test_a_file_twice_is_told_beside_a_third_picture_like_it():
    manifest = manifest_of(
        ("1.png", "a", "A", "x"), ("2.png", "a", "A", "x"), ("3.png", "a", "A", "y")
    ).assign(row=[0, 1, 2])
    pairs = pairs_of((0, 1, "pixels", 1.0), (1, 2, "near", 0.9))
    _, notes = join_groups(manifest, pairs)
    assert [(note.where, note.what) for note in notes] == [
        ("1.png, 2.png", "are the same file: they count as one group")
    ]


def test_without_copies_nothing_changes():
    manifest = manifest_of(("1.png", "a", "A", "x"), ("2.png", "a", "A", "y"))
    groups, notes = join_groups(manifest)
    assert groups.tolist() == ["A", "A"]
    assert notes == []


def test_groups_in_several_given_splits_are_named():
    manifest = manifest_of(
        ("1.png", "a", "A", "x"), ("2.png", "a", "A", "y"), ("3.png", "a", "B", "z")
    ).assign(split=["train", "test", "test"])
    assert list(straddling_groups(manifest)) == ["A"]
    assert straddling_groups(manifest)["A"].what.startswith("has images in test and train")
    assert straddling_groups(manifest.drop(columns="split")) == {}


def pairs_of(*edges):
    return pd.DataFrame(edges, columns=["first", "second", "kind", "correlation"])


def four_images():
    rows = [(f"{i}.png", "a", group, str(i)) for i, group in enumerate("AABC")]
    return manifest_of(*rows).assign(row=[10, 11, 12, 13])


def test_groups_that_share_a_picture_are_joined():
    pairs = pairs_of((11, 12, "pixels", 1.0), (12, 13, "near", 0.9))
    groups, notes = join_groups(four_images(), pairs)
    assert groups.tolist() == ["A", "A", "A", "A"]
    assert [(note.where, note.what) for note in notes] == [
        ("1.png, 2.png", "are the same picture: they count as one group"),
        ("1.png, 2.png, 3.png", "are nearly the same picture: they count as one group"),
    ]
    groups, notes = join_groups(four_images(), pairs[:1])
    assert groups.tolist() == ["A", "A", "A", "C"]
    assert notes[0].what.startswith("are the same picture:")


def test_near_pictures_of_one_group_are_told_only_if_their_labels_contradict():
    pairs = pairs_of((10, 11, "near", 0.9))
    assert join_groups(four_images(), pairs)[1] == []
    _, notes = join_groups(four_images().assign(label=list("abaa")), pairs)
    assert notes[0].what == "are nearly the same picture with different labels (a, b)"


def test_pairs_of_images_that_are_not_listed_join_nothing():
    groups, notes = join_groups(four_images(), pairs_of((10, 99, "near", 0.9)))
    assert groups.tolist() == list("AABC")
    assert notes == []


def test_many_copies_are_told_in_one_short_note():
    rows = [(f"{i}.png", "a", f"G{i:03}", "x") for i in range(500)]
    groups, notes = join_groups(manifest_of(*rows))
    assert set(groups) == {"G000"}
    assert len(notes) == 1
    assert notes[0].where.endswith("9.png and 490 more")


def test_near_copies_in_several_given_splits_are_a_note_and_no_straddling_group():
    manifest = four_images().assign(split=["train", "train", "test", "val"])
    pairs = pairs_of((11, 12, "near", 0.9))
    _, (note,) = join_groups(manifest, pairs)
    assert not note.fatal
    assert note.where == "1.png, 2.png"
    assert "nearly the same picture in test and train" in note.what
    assert straddling_groups(manifest) == {}
    assert equal_to_later_splits(manifest, pairs) == {}


def test_equal_pixels_are_left_out_of_the_earlier_given_split():
    manifest = four_images().assign(split=["train", "val", "test", "train"])
    pairs = pairs_of((10, 11, "pixels", 1.0), (10, 12, "pixels", 1.0), (12, 13, "near", 0.9))
    repeated = equal_to_later_splits(manifest, pairs)
    assert list(repeated) == ["0.png", "1.png"]
    assert repeated["0.png"].what == "is the same picture as 2.png of test: left out of train"
    assert not repeated["0.png"].fatal
    assert equal_to_later_splits(manifest.drop(columns="split"), pairs) == {}


def test_blank_pictures_are_copies_of_nothing_though_their_files_are_equal():
    manifest = four_images().assign(sha256=["x", "x", "x", "y"], label=list("abab"))
    pairs = pairs_of((10, 10, "blank", 0.0), (11, 11, "blank", 0.0), (12, 12, "blank", 0.0))
    groups, notes = join_groups(manifest, pairs)
    assert groups.tolist() == list("AABC")
    assert notes == []
    assert not contradicting(manifest, pairs).any()
    split = manifest.assign(split=["train", "test", "test", "val"])
    assert equal_to_later_splits(split, pairs) == {}


@pytest.mark.parametrize("wanted", ["keep", "leave_out", "stop"])
def test_contradicting_labels_stop_or_are_left_out_on_demand(wanted):
    manifest = four_images().assign(label=list("aaba"))
    pairs = pairs_of((11, 12, "near", 0.9))
    _, (note,) = join_groups(manifest, pairs, wanted)
    assert "different labels (a, b)" in note.what
    assert note.fatal == (wanted == "stop")
    assert ("left out" in note.what) == (wanted == "leave_out")
    assert contradicting(manifest, pairs).tolist() == [False, True, True, False]
