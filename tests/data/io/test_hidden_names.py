"""Data sets with DICOM files, whatever reads them: no output has a part of a path."""

import csv
import shutil

import numpy as np
import pandas as pd
import pydicom.data
import pytest
from PIL import Image as Picture

from vitrial.data.io.files import Files
from vitrial.data.io.hidden_names import name_by_uid, pseudonyms, shown_names, write_names
from vitrial.data.sources import load_dataset
from vitrial.data.sources.csv import CsvData
from vitrial.data.sources.folder import FolderData
from vitrial.data.unlabeled import prepare_unlabeled
from vitrial.errors import DataError, VitrialError
from vitrial.protocol import Image

IMAGE = Image(resize=16, channels=1)
SECRET = ("gruenbaum", "malley", "oezlem")


@pytest.fixture
def folder(tmp_path):
    """Two classes; a patient's folder with a DICOM file, a picture, a letter and a damaged file."""
    root = tmp_path / "root"
    patient = root / "a" / "Gruenbaum"
    patient.mkdir(parents=True)
    (root / "b").mkdir()
    shutil.copy(pydicom.data.get_testdata_file("CT_small.dcm"), patient / "O'Malley.dcm")
    shutil.copy(pydicom.data.get_testdata_file("MR_small.dcm"), root / "b" / "Oezlem.PNG")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    Picture.fromarray(pixels).save(patient / "O'Malley.png")
    (patient / "OMalley.txt").write_text("a letter")
    (patient / "O'Malley damaged.dcm").write_bytes(b"nothing")
    return root


def tells(*things):
    said = " ".join(map(repr, things)).lower()
    return [text for text in SECRET if text in said]


def test_class_folders(folder):
    dataset = load_dataset(FolderData(source="folder", root=folder))
    assert dataset.manifest["label"].tolist() == ["a", "a", "a", "b"]
    assert dataset.manifest["group"].tolist() == dataset.manifest["image"].tolist()
    assert tells(dataset.manifest.to_dict(), dataset.problems) == []
    assert dataset.problems[0].where == "file-3"
    contents = [dataset.reader.read(name) for name in dataset.manifest["image"]]
    assert [content[128:132] == b"DICM" for content in contents] == [False, True, False, True]


def test_a_table(folder):
    rows = [
        ("a/Gruenbaum/O'Malley.dcm", "x", "Oezlem", "a/Gruenbaum/O'Malley.png"),
        ("a/Gruenbaum/O'Malley.png", "y", "Oezlem", ""),
        ("b/Oezlem.PNG", "y", "", "a/Gruenbaum/not O'Malley's.png"),
        ("a/O'Malley.dcm", "y", "Oezlem", ""),
        ("../O'Malley.dcm", "y", "Oezlem", ""),
    ]
    columns = ["image", "label", "patient", "mask"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "t.csv", index=False)
    keys = {"group": "patient", "mask": "mask"}
    dataset = load_dataset(CsvData(source="csv", root=folder, table="t.csv", **keys))
    image, group, mask = (dataset.manifest[key].tolist() for key in ("image", "group", "mask"))
    assert group == ["group-0001", "group-0001", image[2]]
    assert mask == [image[1], None, None]
    assert dataset.reader.read(mask[0]).startswith(b"\x89PNG")
    assert {"row 5 of t.csv", "row 6 of t.csv"} <= {p.where for p in dataset.problems}
    assert tells(dataset.manifest.to_dict(), dataset.problems) == []


def test_images_without_labels(folder, tmp_path):
    with pytest.raises(DataError) as raised:
        prepare_unlabeled(folder, IMAGE, tmp_path / "cache")
    assert tells(str(raised.value), raised.value.problems) == []
    (cache, _), problems = prepare_unlabeled(
        folder, IMAGE, tmp_path / "cache", on_problem="leave_out"
    )
    assert len(cache.index) == 3
    assert tells(cache.index.to_dict(), problems) == []


def test_without_dicom_names_stay(folder):
    for path in (folder / "a/Gruenbaum/O'Malley.dcm", folder / "b/Oezlem.PNG"):
        path.unlink()
    dataset = load_dataset(FolderData(source="folder", root=folder))
    assert "a/Gruenbaum/O'Malley.png" in dataset.manifest["image"].tolist()


def test_the_way_back(folder, tmp_path):
    path = tmp_path / "names.csv"
    assert write_names(folder, path) == 5
    with path.open(newline="") as file:
        back = {row["shown"]: row["file"] for row in csv.DictReader(file)}
    dataset = load_dataset(FolderData(source="folder", root=folder))
    for name in dataset.manifest["image"]:
        assert dataset.reader.read(name) == (folder / back[name]).read_bytes()
    with pytest.raises(VitrialError, match="is there already"):
        write_names(folder, path)


def test_names_follow_the_image_and_are_all_different(folder):
    files = Files(folder)
    first = shown_names(files, files.names())
    (folder / "a/Gruenbaum").rename(folder / "b/other")
    second = shown_names(files, files.names())
    digests = [{n for n in names.values() if "image" in n} for names in (first, second)]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 2
    names = name_by_uid(["x.dcm", "y.dcm", "z.Özlem", "w"], {"x.dcm": "1.2", "y.dcm": "1.2"})
    assert len(set(names.values())) == 4
    assert names["z.Özlem"] == "file-2"


def test_numbers_do_not_depend_on_order():
    assert pseudonyms(["x", "y", "x"], "patient") == pseudonyms(["y", "x"], "patient")
    assert set(pseudonyms(map(str, range(12_345)), "p").values()) == {
        f"p-{i:05}" for i in range(1, 12_346)
    }
