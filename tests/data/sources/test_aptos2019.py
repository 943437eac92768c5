import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from vitrial.data.io.decode import decode
from vitrial.data.sources import load_dataset
from vitrial.data.sources.aptos2019 import Aptos2019Data
from vitrial.data.split import split_manifest
from vitrial.errors import VitrialError
from vitrial.protocol import Image, Split

TABLE = Path(__file__).parents[4] / "shared" / "data" / "aptos2019" / "train.csv"
# The competition's published distribution of grades.
COUNTS = {"0": 1805, "1": 370, "2": 999, "3": 193, "4": 295}


def png():
    content = io.BytesIO()
    Pillow.fromarray(np.full((9, 12, 3), 80, np.uint8)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="module")
def ids():
    if not TABLE.is_file():
        pytest.skip(f"there is no {TABLE}")
    return pd.read_csv(TABLE)["id_code"].tolist()


def kaggle_zip(root, ids):
    """The competition's download, with one small picture under all names."""
    with zipfile.ZipFile(root / "aptos2019-blindness-detection.zip", "w") as archive:
        archive.write(TABLE, "train.csv")
        archive.writestr("test.csv", "id_code\n0005cfc8afb6\n")
        archive.writestr("sample_submission.csv", "id_code,diagnosis\n0005cfc8afb6,0\n")
        archive.writestr("test_images/0005cfc8afb6.png", png())
        for name in ids:
            archive.writestr(f"train_images/{name}.png", png())
    return root


def unpacked(root, ids):
    """The same, unpacked."""
    (root / "train.csv").write_bytes(TABLE.read_bytes())
    (root / "one.png").write_bytes(png())
    (root / "train_images").mkdir()
    for name in ids:
        (root / "train_images" / f"{name}.png").hardlink_to(root / "one.png")
    (root / "one.png").unlink()
    return root


def load(root, **more):
    return load_dataset(Aptos2019Data(source="aptos2019", root=root, **more))


@pytest.mark.parametrize("download", [kaggle_zip, unpacked])
def test_the_real_table(ids, tmp_path, download):
    dataset = load(download(tmp_path, ids))
    manifest = dataset.manifest
    assert dataset.problems == []
    assert dataset.classes == ["0", "1", "2", "3", "4"]
    assert manifest["label"].value_counts().to_dict() == COUNTS
    assert manifest["group"].is_unique
    assert [Path(name).stem for name in manifest["image"]] == ids
    row = manifest[manifest["image"].str.contains("001639a390f0")].iloc[0]
    assert row["label"] == "4"
    decoded = decode(dataset.reader.read(row["image"]), Image(resize=16))
    assert (decoded.width, decoded.height) == (12, 9)


@pytest.mark.parametrize(
    ("fractions", "sizes"),
    [((0.7, 0.15, 0.15), (2563, 549, 549)), ((0.8, 0.1, 0.1), (2930, 366, 366))],
)
def test_splits_of_the_real_table(ids, tmp_path, fractions, sizes):
    manifest = load(kaggle_zip(tmp_path, ids)).manifest
    parts = split_manifest(manifest, Split(fractions=fractions))
    counts = pd.crosstab(manifest["label"], parts)
    for split, fraction, size in zip(("train", "val", "test"), fractions, sizes, strict=True):
        assert abs(counts[split].sum() - size) <= 3
        # Each grade has its share in each split, to an image.
        assert ((counts[split] - fraction * pd.Series(COUNTS)).abs() <= 1).all()


def small(root, rows, images="abcdef"):
    (root / "train_images").mkdir()
    for name in images:
        (root / "train_images" / f"{name}.png").write_bytes(b"x")
    (root / "train.csv").write_text("\n".join(["id_code,diagnosis", *rows]))
    return root


def told(dataset, *, fatal=True):
    return {p.where: p.what for p in dataset.problems if p.fatal == fatal}


def test_every_fault_is_told_with_its_row(tmp_path):
    rows = ["a,0", "b,5", "c,", "x,1", "d,2", "d,2", "e,3", "e,4", "f,1,1", "y,7", ",1"]
    dataset = load(small(tmp_path, rows))
    assert dataset.manifest["image"].tolist() == ["train_images/a.png", "train_images/d.png"]
    assert dataset.manifest.index.tolist() == [0, 1]
    assert dataset.classes == ["0", "1", "2", "3", "4"]
    faults = told(dataset)
    words = {
        3: "unknown grade '5'",
        4: "unknown grade ''",
        5: "'x', which is not found",
        7: "repeats row 6",
        8: "something else of 'e' than row 9",
        9: "something else of 'e' than row 8",
        10: "3 cells",
        12: "''",
    }
    assert set(faults) == {f"row {number} of train.csv" for number in {*words, 11}}
    for number, word in words.items():
        assert word in faults[f"row {number} of train.csv"]
    twofold = [p.what for p in dataset.problems if p.where == "row 11 of train.csv"]
    assert len(twofold) == 2


def test_images_in_two_places_are_noted(tmp_path):
    root = small(tmp_path, ["a,0", "b,1"])
    (root / "train_images_224").mkdir()
    (root / "train_images_224" / "b.png").write_bytes(b"smaller")
    dataset = load(root)
    assert dataset.manifest["image"].tolist() == ["train_images/a.png", "train_images/b.png"]
    notes = told(dataset, fatal=False)
    assert set(notes) == {"train_images/b.png"}
    assert "not train_images_224/b.png" in notes["train_images/b.png"]


def test_the_table_nearest_to_the_root_counts(tmp_path):
    root = small(tmp_path, ["a,0", "b,1"])
    (root / "folds").mkdir()
    (root / "folds" / "train.csv").write_text("id_code,diagnosis\na,4\n")
    assert load(root).manifest["label"].tolist() == ["0", "1"]


def test_what_is_missing_altogether_is_told(tmp_path):
    root = small(tmp_path, ["a,0"], images="z")
    with pytest.raises(VitrialError, match=r"no image that train\.csv names: put train_images"):
        load(root)
    (root / "train.csv").write_text("id_code,grade\na,0\n")
    with pytest.raises(VitrialError, match=r"train\.csv has no column 'diagnosis'"):
        load(root)
    (root / "train.csv").unlink()
    with pytest.raises(VitrialError, match=r"holds no train\.csv"):
        load(root)


def test_two_grades_of_the_five(tmp_path):
    dataset = load(small(tmp_path, ["a,0", "b,4", "c,2"]), classes=["0", "4"])
    assert dataset.manifest["label"].tolist() == ["0", "4"]
