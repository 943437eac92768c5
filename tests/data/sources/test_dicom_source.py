import io
import math
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom.data
import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)

from vitrial.data.io.files import Files
from vitrial.data.io.hidden_names import shown_names
from vitrial.data.sources import load_dataset
from vitrial.data.sources.dicom import DicomData
from vitrial.errors import VitrialError

RNG = np.random.default_rng(0)


def uid(*names):
    return generate_uid(entropy_srcs=[str(name) for name in names])


def header(patient, study=0, image=0, **elements):
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID = CTImageStorage
    file.SOPInstanceUID = uid(patient, study, image)
    file.SeriesInstanceUID = uid(patient, study, "series")
    file.StudyInstanceUID = uid(patient, study)
    file.PatientID = patient
    for keyword, value in elements.items():
        setattr(file, keyword, value)
    return file


def image(patient, study=0, image=0, **elements):
    file = header(patient, study, image)
    file.Rows = file.Columns = 16
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 8
    file.HighBit, file.PixelRepresentation = 7, 0
    file.PixelData = RNG.integers(0, 256, (16, 16), dtype=np.uint8).tobytes()
    file["PixelData"].VR = "OB"
    for keyword, value in elements.items():
        setattr(file, keyword, value)
    return file


def save(file, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)


def table(root, rows, **columns):
    pd.DataFrame(rows, columns=["image", "label", *columns]).to_csv(root / "t.csv", index=False)


def load(root, **keys):
    return load_dataset(DicomData(source="dicom", root=root, table="t.csv", **keys))


def own_names(root, dataset):
    """The files that a manifest's images are."""
    files = Files(root)
    own = {other: name for name, other in shown_names(files, files.names()).items()}
    return dataset.manifest["image"].map(own)


def fatal(dataset):
    return [problem for problem in dataset.problems if problem.fatal]


def notes(dataset):
    return " ".join(f"{p.where} {p.what}" for p in dataset.problems if not p.fatal)


@pytest.fixture
def folder(tmp_path):
    """Three patients with two studies of two images each, in files without suffixes."""
    for p in range(3):
        for study in range(2):
            for i in range(2):
                save(image(f"id-{p}", study, i), tmp_path / f"{p}/{study}/IM{i}")
    return tmp_path


KEYS = {
    "SOPInstanceUID": lambda p: (uid(f"id-{p}", 0, 0), 1),
    "SeriesInstanceUID": lambda p: (uid(f"id-{p}", 1, "series"), 2),
    "PatientID": lambda p: (f"id-{p}", 4),
    "file name": lambda p: (f"{p}/1/IM0", 1),
}


@pytest.mark.parametrize("identity", KEYS)
def test_what_a_table_may_name_images_by(folder, identity):
    keys = [KEYS[identity](p) for p in range(3)]
    table(folder, [(key, f"class {p}") for p, (key, _) in enumerate(keys)])
    dataset = load(folder)
    assert fatal(dataset) == []
    assert f"by their {identity}" in notes(dataset)
    each = keys[0][1]
    assert len(dataset.manifest) == 3 * each
    assert dataset.classes == ["class 0", "class 1", "class 2"]
    # Each patient has a label, an own group and a folder.
    patients = own_names(folder, dataset).str.split("/").str[0]
    assert (dataset.manifest["label"] == "class " + patients).all()
    assert dataset.manifest.groupby("group")["label"].nunique().tolist() == [1, 1, 1]
    assert set(dataset.manifest["group"]) == {f"patient-000{i}" for i in (1, 2, 3)}
    assert (f"{12 - 3 * each} of 12 DICOM images" in notes(dataset)) == (each < 4)
    assert dataset.reader.read(dataset.manifest["image"][0])[128:132] == b"DICM"


def test_pseudonyms_do_not_depend_on_the_place_of_files(folder, tmp_path_factory):
    table(folder, [(f"id-{p}", "a") for p in range(3)])
    first = load(folder)
    first = first.manifest.assign(own=own_names(folder, first)).sort_values("own")
    other = tmp_path_factory.mktemp("other")
    for p in (2, 0, 1):
        save(image(f"id-{p}", 5, 6), other / f"{p}")
    table(other, [(f"id-{p}", "a") for p in range(3)])
    again = load(other)
    again = again.manifest.assign(own=own_names(other, again)).sort_values("own")
    assert first["group"].drop_duplicates().tolist() == again["group"].tolist()


def test_metadata(tmp_path):
    elements = {
        "Modality": "MG",
        "PatientSex": "F",
        "PatientAge": "018M",
        "BodyPartExamined": "BREAST",
        "ViewPosition": "MLO",
        "Laterality": "L",
        "Manufacturer": "SIEMENS Healthineers",
    }
    save(image("one", **elements), tmp_path / "a.dcm")
    save(image("two", PatientAge=""), tmp_path / "b.dcm")
    table(tmp_path, [("a", "x"), ("b", "y")])
    full, empty = load(tmp_path).manifest.to_dict("records")
    given = {"modality": "MG", "sex": "F", "age": 1.5, "body_part": "BREAST"}
    given |= {"view_position": "MLO", "laterality": "L", "manufacturer": "Siemens"}
    assert given.items() <= full.items()
    assert empty["modality"] == empty["sex"] == empty["manufacturer"] == ""
    assert math.isnan(empty["age"])
    assert set(full) == {"image", "label", "group", *given}


def test_other_files_lie_about(tmp_path):
    save(image("one"), tmp_path / "a.dcm")
    save(header("one", 1), tmp_path / "report.dcm")
    deflated = image("two")
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    save(deflated, tmp_path / "b")
    source = Path(pydicom.data.__file__).parent / "test_files/dicomdirtests/DICOMDIR"
    (tmp_path / "DICOMDIR").write_bytes(source.read_bytes())
    (tmp_path / "readme.txt").write_text("text " * 100)
    (tmp_path / "damaged.dcm").write_bytes(bytes(128) + b"DICM\x02\0\x10\0UI\xff\xff" + b"1" * 9)
    (tmp_path / "outside").symlink_to("/etc/hostname")
    table(tmp_path, [("a.dcm", "x"), ("b", "y")])
    dataset = load(tmp_path)
    assert fatal(dataset) == []
    assert own_names(tmp_path, dataset).tolist() == ["a.dcm", "b"]
    assert "hold no image in" in notes(dataset)
    # A link out of the root, which nothing names.
    assert re.search(r"file-\d cannot be read", notes(dataset))
    assert "outside" not in notes(dataset)


def test_a_zip(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("zipped")
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for path in sorted(folder.rglob("IM*")):
            archive.write(path, path.relative_to(folder))
    table(root, [(f"id-{p}", "a") for p in range(3)])
    dataset = load(root)
    assert len(dataset.manifest) == 12
    assert own_names(root, dataset).str.startswith("images.zip/").all()
    assert dataset.reader.read(dataset.manifest["image"][0])


def test_images_that_do_not_say_whose_they_are(tmp_path):
    for i in range(2):
        save(image("", 7, i), tmp_path / f"study{i}")
        save(image("", 8, i, StudyInstanceUID=""), tmp_path / f"alone{i}")
    table(tmp_path, [(f"{kind}{i}", "x") for kind in ("study", "alone") for i in range(2)])
    dataset = load(tmp_path)
    alone = dataset.manifest["image"].tolist()[2:]
    assert dataset.manifest["group"].tolist() == ["study-0001", "study-0001", *alone]
    assert "is empty in 2 images; each study" in notes(dataset)
    assert "is empty in 2 images; each image" in notes(dataset)


def test_faulty_rows(folder):
    keys = [(uid(f"id-{p}", s, i)) for p in range(3) for s in range(2) for i in range(2)]
    rows = [
        (keys[0], "a", "train"),
        (keys[0], "a", "train"),
        (keys[1], "a", "train"),
        (keys[1], "b", "train"),
        ("SECRET-17", "a", "train"),
        ("", "a", "train"),
        (keys[2], "", "train"),
        (keys[3], "b", "SECRET-18"),
        (keys[4], "b", "Validation"),
    ]
    table(folder, rows, split=None)
    dataset = load(folder, split="split")
    found = {problem.where: problem.what for problem in fatal(dataset)}
    expected = {
        3: "repeats row 2",
        4: "another label or split than row 5",
        5: "another label or split than row 4",
        6: "names no DICOM image by its SOPInstanceUID",
        7: "has nothing in column image",
        8: "has no label",
        9: "has no split",
    }
    assert set(found) == {f"row {number} of t.csv" for number in expected}
    for number, what in expected.items():
        assert what in found[f"row {number} of t.csv"]
    assert "SECRET" not in str(dataset.problems)
    assert dataset.manifest["split"].tolist() == ["train", "val"]


def test_rows_of_other_classes_are_no_matter(folder):
    table(folder, [("id-0", "a"), ("id-1", "b"), ("id-2", "c"), ("missing", "c")])
    dataset = load(folder, classes=["b", "a"])
    assert fatal(dataset) == []
    assert dataset.classes == ["b", "a"]


def test_a_file_name_that_several_files_have(folder):
    table(folder, [("IM0", "a"), ("2/0/IM1", "b")])
    (problem,) = fatal(load(folder))
    assert (problem.where, problem.what) == ("row 2 of t.csv", "names 6 files")


def test_sentences(folder, monkeypatch):
    table(folder, [("nobody", "a"), ("no one", "b")])
    with pytest.raises(VitrialError, match="None of the 2 values in column image") as raised:
        load(folder)
    assert "nobody" not in str(raised.value)
    with pytest.raises(VitrialError, match="has no column 'imago'"):
        load(folder, key="imago")
    with pytest.raises(VitrialError, match=r"data.table: there is no 'u.csv'"):
        load_dataset(DicomData(source="dicom", root=folder, table="u.csv"))
    # A patient's id that is another's file name.
    save(image("b"), folder / "x/a.dcm")
    save(image("a"), folder / "x/b.dcm")
    table(folder, [("a", "x"), ("b", "y")])
    with pytest.raises(VitrialError, match="found as PatientID and as file name, of different"):
        load(folder)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(VitrialError, match=r"pip install 'vitrial\[dicom\]'"):
        load(folder)


def test_a_folder_without_images(tmp_path):
    table(tmp_path, [("a", "x")])
    with pytest.raises(VitrialError, match="holds no DICOM image"):
        load(tmp_path)


# What headers and paths tell of patients


def test_names_are_the_same_again_wherever_files_lie(tmp_path):
    for place, path in (("here", "Ottokar/1"), ("there", "x/2")):
        save(image("Ottokar"), tmp_path / place / path)
        table(tmp_path / place, [("Ottokar", "a")])
    (here,), (there,) = (load(tmp_path / place).manifest["image"] for place in ("here", "there"))
    assert re.fullmatch("image-[0-9a-f]{16}", here)
    assert here == there


def test_an_image_that_is_there_twice_has_two_names(tmp_path):
    for path in ("a.dcm", "b.DCM"):
        save(image("one"), tmp_path / path)
    without = image("two", SOPInstanceUID="")
    without.file_meta.MediaStorageSOPInstanceUID = "1.2"
    save(without, tmp_path / "c.Oezlem")
    table(tmp_path, [("one", "a"), ("two", "b")])
    first, second, third = load(tmp_path).manifest["image"]
    assert second == first.removesuffix(".dcm") + "-2.dcm"
    assert third == "file-1"


def test_errors_of_reading_name_no_file(tmp_path):
    save(image("one"), tmp_path / "Ottokar/IM1")
    table(tmp_path, [("one", "a")])
    dataset = load(tmp_path)
    name = dataset.manifest["image"][0]
    assert pydicom.dcmread(io.BytesIO(dataset.reader.read(name))).PatientID == "one"
    (tmp_path / "Ottokar/IM1").unlink()
    for ask in (dataset.reader.read, dataset.reader.stamp):
        for asked in (name, "Ottokar/IM1"):
            with pytest.raises(OSError, match="it is gone, damaged") as raised:
                ask(asked)
            assert "Ottokar" not in f"{raised.value!r} {raised.value.filename}"
            assert raised.value.__cause__ is None
    (tmp_path / "Ottokar.zip").write_bytes(b"PK")
    with pytest.raises(VitrialError, match=r"zip file below .* cannot be read") as raised:
        load(tmp_path)
    assert "Ottokar" not in str(raised.value)


FREE = ("Modality", "PatientSex", "BodyPartExamined", "ViewPosition", "Laterality", "Manufacturer")


def test_values_that_are_no_terms_of_the_standard_are_not_kept(tmp_path):
    with disable_value_validation():
        save(image("one", **dict.fromkeys(FREE, "Ottokar"), PatientAge="093Y"), tmp_path / "1")
        terms = {"BodyPartExamined": "c spine", "Laterality": "r", "Manufacturer": "Kodak^Ottokar"}
        save(image("two", **terms, PatientAge="089Y"), tmp_path / "2")
    table(tmp_path, [("one", "a"), ("two", "b")])
    first, second = load(tmp_path).manifest.to_dict("records")
    columns = ("modality", "sex", "body_part", "view_position", "laterality", "manufacturer")
    assert [first[column] for column in columns] == ["other"] * 6
    assert [second[column] for column in columns[2:]] == ["CSPINE", "", "R", "Kodak"]
    assert (first["age"], second["age"]) == (90, 89)


def test_further_columns_on_request(tmp_path):
    save(image("one", KVP="29", StationName="Room 2"), tmp_path / "1")
    save(image("two"), tmp_path / "2")
    table(tmp_path, [("one", "a"), ("two", "b")])
    manifest = load(tmp_path, columns=["KVP", "StationName"]).manifest
    assert manifest[["KVP", "StationName"]].to_numpy().tolist() == [["29", "Room 2"], ["", ""]]
    for keyword in ("PatientName", "OperatorsName", "PatientID", "OtherPatientIDsSequence"):
        with pytest.raises(VitrialError, match=f"columns: {keyword} names a person"):
            load(tmp_path, columns=["KVP", keyword])
    with pytest.raises(VitrialError, match="no element 'KPV', did you mean KVP"):
        load(tmp_path, columns=["KPV"])
