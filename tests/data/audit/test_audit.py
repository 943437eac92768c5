import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

from vitrial.cli import app
from vitrial.data.audit.audit import audit_dataset, audit_prepared
from vitrial.data.audit.measure import CHUNK
from vitrial.data.audit.record import read_audit
from vitrial.data.cache import PixelCache
from vitrial.data.prepared import prepare_data
from vitrial.data.sources import load_dataset
from vitrial.data.sources.csv import CsvData
from vitrial.data.sources.folder import FolderData
from vitrial.data.sources.phantom import PhantomData
from vitrial.protocol import Image, Split
from vitrial.report.audit import write_page

SMALL = Image(resize=16)


def png(seed, size=(20, 20), level=None):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    if level is not None:
        pixels[:] = level + seed
    content = io.BytesIO()
    Pillow.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def write(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def audited(root, files, **more):
    dataset = load_dataset(FolderData(source="folder", root=write(root / "set", files), **more))
    return audit_dataset(dataset, SMALL, root / "cache")


SOUND = {f"{c}/{i}.png": png(100 * i + ord(c)) for c in "ab" for i in range(5)}


def places(audit, word):
    return {problem.where for problem in audit.problems if word in problem.what}


def test_measurements_are_those_of_the_pixels(tmp_path):
    more = {f"a/more-{i}.png": png(1000 + i, (20 + i, 30)) for i in range(CHUNK)}
    audit = audited(tmp_path, SOUND | more)
    images = audit.images
    assert len(images) == len(SOUND | more) > CHUNK
    pixels = PixelCache(audit.cache).read(images["row"].to_numpy(np.int64)).astype(float)
    np.testing.assert_allclose(images["spread"], pixels.std(axis=(1, 2, 3)))
    for c in range(3):
        np.testing.assert_allclose(images[f"mean_{c}"], pixels[..., c].mean(axis=(1, 2)))
        np.testing.assert_allclose(images[f"std_{c}"], pixels[..., c].std(axis=(1, 2)))
        np.testing.assert_allclose(images[f"border_top_mean_{c}"], pixels[:, 0, :, c].mean(axis=1))
        right = pixels[:, :, -1, c].mean(axis=1)
        np.testing.assert_allclose(images[f"border_right_mean_{c}"], right)
    std = pixels[:, -1].std(axis=1).mean(axis=1)
    np.testing.assert_allclose(images["border_bottom_std"], std)
    rows = images.set_index("image")
    assert rows.loc["a/more-7.png", ["width", "height"]].tolist() == [27, 30]
    assert rows.loc["a/1.png", "bytes"] == len(SOUND["a/1.png"])
    assert set(images["suffix"]) == {".png"}
    assert set(images["bits"]) == {8}


def test_what_cannot_be_decoded_is_listed_without_measurements(tmp_path):
    audit = audited(tmp_path, SOUND | {"a/empty.png": b"", "b/text.png": b"text"})
    images = audit.images.set_index("image")
    faulty = images.loc[["a/empty.png", "b/text.png"]]
    assert faulty[["row", "width", "mean_0", "mode"]].isna().all(axis=None)
    assert images["used"].sum() == len(SOUND)
    table = audit.class_table()
    assert table.to_dict("index") == {c: {"images": 6, "used": 5, "groups": 5} for c in "ab"}
    assert audit.fatal == 2


def test_images_that_show_nothing_and_odd_sizes_are_noted(tmp_path):
    sound = {f"{c}/{i}.png": png(1000 * i + ord(c)) for c in "ab" for i in range(100)}
    odd = {
        "a/black.png": png(0, level=0),
        "b/gray.png": png(3, level=120),
        "a/huge.png": png(1, (90, 90)),
        "b/strip.png": png(2, (41, 20)),
    }
    audit = audited(tmp_path, sound | odd)
    assert places(audit, "constant") == {"a/black.png", "b/gray.png"}
    assert places(audit, "unusual size") == {"a/huge.png"}
    assert places(audit, "unusual shape") == {"b/strip.png"}
    assert {problem.where for problem in audit.problems} == set(odd)
    assert audit.fatal == 0


def test_a_second_camera_is_no_outlier(tmp_path):
    files = SOUND | {f"{c}/second-{i}.png": png(i, (90, 90)) for c in "ab" for i in range(3)}
    assert not places(audited(tmp_path, files), "unusual")


def test_groups_of_different_labels_are_noted(tmp_path):
    write(tmp_path, {name.replace("/", "-"): content for name, content in SOUND.items()})
    rows = ["image,label,patient", *(f"{c}-{i}.png,{c},{c}{i}" for c in "ab" for i in range(5))]
    rows[1], rows[-1] = "a-0.png,a,torn", "b-4.png,b,torn"
    (tmp_path / "t.csv").write_text("\n".join(rows))
    data = CsvData(source="csv", root=tmp_path, table="t.csv", group="patient")
    audit = audit_dataset(load_dataset(data), SMALL, tmp_path / "cache")
    (note,) = audit.problems
    assert note.where == "group torn"
    assert "(a, b), such as a-0.png, b-4.png" in note.what
    assert not note.fatal


def test_copies_across_given_splits_are_left_out_of_training_and_said(tmp_path):
    files = {f"{s}/{name}": png(hash_) for s, hash_, name in _splits()}
    files["test/a/leak.png"] = files["train/a/0.png"]
    files["train/b/empty.png"] = b""
    audit = audited(tmp_path, files)
    assert audit.fatal == 1
    what = {problem.where: problem.what for problem in audit.problems}
    assert "empty file" in what["train/b/empty.png"]
    assert what["train/a/0.png"].endswith("test/a/leak.png of test: left out of train")
    assert not audit.images.set_index("image")["used"]["train/a/0.png"]
    assert {"train", "val", "test"} <= set(audit.class_table().columns)


def _splits():
    names = [(s, f"{c}/{i}.png") for s in ("train", "val", "test") for c in "ab" for i in range(4)]
    return [(s, seed, name) for seed, (s, name) in enumerate(names)]


def test_what_is_too_little_for_a_study_is_audited_all_the_same(tmp_path):
    audit = audited(tmp_path, {"a/1.png": png(1), "a/2.png": png(2), "b/1.png": b"x"})
    assert places(audit, "too few") == {"class a", "class b"}
    assert places(audit, "not an image but text") == {"b/1.png"}
    assert audit.images["row"].notna().sum() == 2
    assert not audit.images["used"].any()
    assert audit.shortcuts == []


def test_a_data_set_without_a_single_sound_image_is_audited(tmp_path):
    audit = audited(tmp_path, {"a/1.png": b"", "a/2.png": b"", "b/1.png": b"x"})
    assert len(audit.images) == 3
    assert audit.images["spread"].isna().all()
    assert places(audit, "empty file") == {"a/1.png", "a/2.png"}
    assert "none" in write_page(audit, tmp_path).read_text(encoding="utf-8")


def test_an_audit_is_read_as_it_was_written(tmp_path):
    audit = audited(tmp_path, SOUND | {"a/empty.png": b"", "a/=1.png": png(7)})
    assert read_audit(tmp_path / "out") is None
    audit.write(tmp_path / "out")
    found = read_audit(tmp_path / "out")
    pd.testing.assert_frame_equal(found.images, audit.images)
    for field in ("name", "classes", "problems", "shortcuts", "alike", "cache", "fingerprint"):
        assert getattr(found, field) == getattr(audit, field), field


def test_given_splits_that_differ_are_said_with_the_metadata(tmp_path):
    rows = ["image,label,split,sex"]
    for split, seed, name in _splits():
        path = f"{split}-{name.replace('/', '-')}"
        write(tmp_path, {path: png(seed)})
        rows.append(f"{path},{name[0]},{split},{'f' if split == 'test' else 'm'}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    data = CsvData(source="csv", root=tmp_path, table="t.csv", split="split")
    audit = audit_dataset(load_dataset(data), SMALL, tmp_path / "cache")
    (note,) = [p for p in audit.problems if "differ by more than chance" in p.what]
    assert "sex f (0.0 % in train, 0.0 % in val, 100.0 % in test)" in note.what
    assert "more than chance" in write_page(audit, tmp_path).read_text(encoding="utf-8")
    audit.write(tmp_path / "out")
    assert read_audit(tmp_path / "out").alike == audit.alike


def test_a_protocols_split_is_shown_before_any_training(tmp_path):
    dataset = load_dataset(FolderData(source="folder", root=write(tmp_path / "set", SOUND)))
    assert audit_dataset(dataset, SMALL, tmp_path / "cache").alike == []
    audit = audit_dataset(dataset, SMALL, tmp_path / "cache", Split())
    assert {"class", "images"} <= {figure.what for figure in audit.alike}
    assert {"train", "val", "test"} <= set(audit.class_table().columns)
    unknown = audit_dataset(dataset, SMALL, tmp_path / "cache", Split(stratify=["sex"]))
    assert places(unknown, "names no column of the data set") == {"split.stratify"}
    assert unknown.fatal == 1


def test_a_study_audits_its_data_once(tmp_path, monkeypatch):
    phantoms = PhantomData(source="phantom", patients=40, size=32)
    data = prepare_data(phantoms, Split(), Image(resize=32), tmp_path / "cache")
    first = audit_prepared(data, tmp_path / "study")
    assert first.images["used"].all()
    assert set(first.images["split"]) == {"train", "val", "test"}
    monkeypatch.setattr("vitrial.data.audit.audit.measure", None)
    assert audit_prepared(data, tmp_path / "study").shortcuts == first.shortcuts
    other = prepare_data(phantoms, Split(seed=1), Image(resize=32), tmp_path / "cache")
    with pytest.raises(TypeError):
        audit_prepared(other, tmp_path / "study")


def check(*arguments):
    return CliRunner().invoke(app, ["data", "audit", *map(str, arguments)])


def test_the_command_writes_what_it_found_and_exits_1_where_something_is_fatal(tmp_path):
    root = write(tmp_path / "set", SOUND | {"a/empty.png": b""})
    arguments = ("folder", "--root", root, "--out", tmp_path / "out", "--cache", tmp_path / "cache")
    result = check(*arguments)
    assert result.exit_code == 1, result.output
    assert "1 problem, 0 notes" in result.output.replace("\n", " ")
    names = {"index.html", "images.parquet", "problems.csv", "audit.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert len(pd.read_parquet(tmp_path / "out" / "images.parquet")) == len(SOUND) + 1
    (root / "a" / "empty.png").unlink()
    assert check(*arguments).exit_code == 0


def test_a_protocol_names_its_data_and_how_images_are_prepared(tmp_path, monkeypatch):
    write(tmp_path / "set", SOUND)
    (tmp_path / "p.yaml").write_text(
        "name: p\ndata: {source: folder, root: set}\nimage: {resize: 32}\naugment: {crop: 32}\n"
        "arms: [{backbone: resnet10t}]\nendpoint: accuracy\n"
    )
    monkeypatch.chdir(tmp_path)
    result = check("p.yaml", "--cache", tmp_path / "cache")
    assert result.exit_code == 0, result.output
    found = read_audit(tmp_path / "audits" / "set")
    assert PixelCache(found.cache).shape == (len(SOUND), 32, 32, 3)


@pytest.mark.parametrize("named", ["foldr", "folder", "medmnist:@64", "nowhere.yaml", "folder:x"])
def test_what_names_no_data_is_answered_in_a_sentence(named, tmp_path):
    result = check(named, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "Error:" in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("labels", ["", "aaaa"])
def test_one_class_or_none_is_an_error_of_the_command(labels, tmp_path):
    rows = [f"{i}.png,{label}" for i, label in enumerate(labels)]
    (tmp_path / "t.csv").write_text("\n".join(["image,label", *rows, ""]))
    write(tmp_path, {f"{i}.png": png(i) for i in range(4)})
    result = check("csv:t.csv", "--root", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    found = read_audit(tmp_path / "out")
    assert any("fewer than 2 classes" in p.what for p in found.problems if p.fatal)


def test_an_empty_table_is_a_sentence(tmp_path):
    (tmp_path / "t.csv").write_text("")
    result = check("csv:t.csv", "--root", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "Error: t.csv is empty" in result.output
