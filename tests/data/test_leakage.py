import pandas as pd

from vitrial.data.leakage import join_groups, straddling_groups


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
