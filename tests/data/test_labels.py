import io
import json
import unicodedata

import numpy as np
import pytest
import yaml
from PIL import Image as Pillow

from vitrial.data.sources import load_dataset
from vitrial.data.sources.csv import CsvData
from vitrial.data.sources.folder import FolderData
from vitrial.errors import VitrialError


def png(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    content = io.BytesIO()
    Pillow.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def table(root, labels, groups=None, **more):
    """A table of an image per label."""
    rows = ["image,label,patient"]
    for i, label in enumerate(labels):
        (root / f"{i}.png").write_bytes(png(i))
        rows.append(f"{i}.png,{label},{groups[i] if groups else i}")
    (root / "t.csv").write_text("\n".join(rows), encoding="utf-8")
    group = {"group": "patient"} if groups else {}
    return load_dataset(CsvData(source="csv", root=root, table="t.csv", **group, **more))


def counts(dataset):
    return dataset.manifest["label"].value_counts().to_dict()


@pytest.mark.parametrize("other", ["a\u200b", "\ufeffa", "a\u00a0", "a\u200e\u200b "])
def test_a_label_with_invisible_characters_is_the_label(other, tmp_path):
    dataset = table(tmp_path, ["a", other, "b"])
    assert (dataset.classes, counts(dataset)) == (["a", "b"], {"a": 2, "b": 1})
    assert dataset.problems == []


def test_composed_and_decomposed_letters_are_the_same(tmp_path):
    composed = "naevus \u00e9pith\u00e9lioïde"
    forms = [unicodedata.normalize(form, composed) for form in ("NFC", "NFD")]
    assert table(tmp_path, [*forms, "b"]).classes == ["b", composed]
    for i, form in enumerate(forms):
        (tmp_path / "folders" / form).mkdir(parents=True)
        (tmp_path / "folders" / form / f"{i}.png").write_bytes(png(i))
    dataset = load_dataset(FolderData(source="folder", root=tmp_path / "folders"))
    assert counts(dataset) == {composed: 2}
    for name in dataset.manifest["image"]:
        assert dataset.reader.read(name), "the file keeps its own spelling"


PAIRS = [("a", "A"), ("1", "1.0"), ("yes", "True"), ("no finding", "no_finding")]


@pytest.mark.parametrize(("kept", "other"), PAIRS)
def test_look_alikes_are_a_problem_that_shows_counts_and_a_line_that_fixes_it(
    kept, other, tmp_path
):
    labels = [kept] * 3 + [other] * 2 + ["third"] * 3
    dataset = table(tmp_path, labels)
    (problem,) = dataset.problems
    assert problem.fatal
    assert problem.what == f"look alike: '{kept}' labels 3, '{other}' labels 2 images"
    assert counts(dataset) == {kept: 3, "third": 3}
    # The lines work as they are written.
    lines = [part.split("`")[0] for part in problem.fix.split("`")[1::2] if ":" in part]
    joined = yaml.safe_load(next(line for line in lines if line.startswith("relabel")))
    assert table(tmp_path, labels, **joined).problems == []
    assert counts(table(tmp_path, labels, **joined)) == {kept: 5, "third": 3}
    listed = yaml.safe_load(next(line for line in lines if line.startswith("classes")))
    apart = table(tmp_path, labels, classes=[*listed["classes"][:-1], "third"])
    assert apart.problems == []
    assert counts(apart) == {kept: 3, other: 2, "third": 3}


def test_a_class_that_is_listed_is_kept_and_its_look_alike_asked_about(tmp_path):
    dataset = table(tmp_path, ["A", "A", "A", "a", "b", "c", "C"], classes=["a", "b"])
    assert counts(dataset) == {"a": 1, "b": 1}
    (problem,) = dataset.problems
    assert problem.where == "labels 'a', 'A'", "c and C are not used"


def test_labels_are_renamed_in_order(tmp_path):
    dataset = table(tmp_path, ["10", "2", "1", "1"], relabel={"2": "low", "1": "low", "10": "high"})
    assert (dataset.classes, counts(dataset)) == (["low", "high"], {"low": 3, "high": 1})
    chosen = table(tmp_path, ["10", "2", "1"], relabel={"1": "low"}, classes=["10", "low"])
    assert counts(chosen) == {"10": 1, "low": 1}
    with pytest.raises(VitrialError, match=r"data\.relabel: t has no label 'heigh', did you mean"):
        table(tmp_path, ["high", "low"], relabel={"heigh": "low"})


def test_groups_are_cleaned_and_look_alikes_noted(tmp_path):
    groups = ["p1", "p1 ", "p1\u200b", "P1", "007", "7", "x  y", "x\u00a0y"]
    dataset = table(tmp_path, ["a", "b"] * 4, groups)
    found = dataset.manifest["group"].tolist()
    assert found == ["p1", "p1", "p1", "P1", "007", "7", "x y", "x y"]
    (note,) = dataset.problems
    assert not note.fatal
    assert note.where == "groups"
    assert "in 2 cases" in note.what


def test_problems_are_written_as_they_are(tmp_path):
    (problem,) = table(tmp_path, ["a\u200bb", "ab", "ab", "c"]).problems
    assert "\u200b" not in json.dumps([problem.where, problem.what, problem.fix]).replace(
        "\\u200b", ""
    )
    line = problem.fix.split("`")[1]
    assert yaml.safe_load(line) == {"relabel": {"a\u200bb": "ab"}}
