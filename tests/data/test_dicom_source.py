import io
import math
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom.data
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)

from vitrial.data.checks import usable, write_problems
from vitrial.data.sources import load_dataset
from vitrial.errors import VitrialError
from vitrial.protocol import DicomData, Image

IMAGE = Image(resize=16, channels=1)
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
    patients = dataset.manifest["image"].str.split("/").str[0]
    assert (dataset.manifest["label"] == "class " + patients).all()
    assert dataset.manifest.groupby("group")["label"].nunique().tolist() == [1, 1, 1]
    assert set(dataset.manifest["group"]) == {f"patient-000{i}" for i in (1, 2, 3)}
    assert (f"{12 - 3 * each} of 12 DICOM images" in notes(dataset)) == (each < 4)
    assert dataset.reader.read(dataset.manifest["image"][0])[128:132] == b"DICM"


def test_pseudonyms_do_not_depend_on_the_place_of_files(folder, tmp_path_factory):
    table(folder, [(f"id-{p}", "a") for p in range(3)])
    first = load(folder).manifest.sort_values("image")
    other = tmp_path_factory.mktemp("other")
    for p in (2, 0, 1):
        save(image(f"id-{p}", 5, 6), other / f"{p}")
    table(other, [(f"id-{p}", "a") for p in range(3)])
    again = load(other).manifest.sort_values("image")
    assert first["group"].drop_duplicates().tolist() == again["group"].tolist()


def test_metadata(tmp_path):
    elements = {
        "Modality": "MG",
        "PatientSex": "F",
        "PatientAge": "018M",
        "BodyPartExamined": "BREAST",
        "ViewPosition": "MLO",
        "Laterality": "L",
        "Manufacturer": "Acme",
    }
    save(image("one", **elements), tmp_path / "a.dcm")
    save(image("two", PatientAge=""), tmp_path / "b.dcm")
    table(tmp_path, [("a", "x"), ("b", "y")])
    full, empty = load(tmp_path).manifest.to_dict("records")
    given = {"modality": "MG", "sex": "F", "age": 1.5, "body_part": "BREAST"}
    given |= {"view_position": "MLO", "laterality": "L", "manufacturer": "Acme"}
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
    assert dataset.manifest["image"].tolist() == ["a.dcm", "b"]
    assert "hold no image in" in notes(dataset)
    assert "outside cannot be read" in notes(dataset)


def test_a_zip(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("zipped")
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for path in sorted(folder.rglob("IM*")):
            archive.write(path, path.relative_to(folder))
    table(root, [(f"id-{p}", "a") for p in range(3)])
    dataset = load(root)
    assert len(dataset.manifest) == 12
    assert dataset.manifest["image"][0].startswith("images.zip/")
    assert dataset.reader.read(dataset.manifest["image"][0])


def test_images_that_do_not_say_whose_they_are(tmp_path):
    for i in range(2):
        save(image("", 7, i), tmp_path / f"study{i}")
        save(image("", 8, i, StudyInstanceUID=""), tmp_path / f"alone{i}")
    table(tmp_path, [(f"{kind}{i}", "x") for kind in ("study", "alone") for i in range(2)])
    dataset = load(tmp_path)
    assert dataset.manifest["group"].tolist() == ["study-0001", "study-0001", "alone0", "alone1"]
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


# What must not be told

NAME, ID, BIRTH = "Rumpelstilz^Ottokar", "PX-90210", "19261231"
PRIVATE = ("rumpelstilz", "ottokar", "px90210", "px-90210", "19261231", "1926-12-31", "id-7788")


def private(study, image_, **elements):
    who = {"PatientName": NAME, "PatientBirthDate": BIRTH, "OtherPatientIDs": "ID-7788"}
    return image(ID, study, image_, **who | elements)


@pytest.mark.parametrize("key", ["PatientID", "file name"])
def test_nothing_written_tells_who_a_patient_is(tmp_path, caplog, capfd, key):
    root, out = tmp_path / "root", tmp_path / "out"
    out.mkdir()
    paths = [f"{BIRTH}/px_90210-{i}.dcm" for i in range(3)]
    for i, path in enumerate(paths):
        save(private(0, i, Manufacturer="Ottokar Rumpelstilz"), root / path)
    # A damaged file, one that is gone when it is to be read, and one without the patient's name
    # in the patient's folder.
    save(private(1, 0, PixelData=b"short "), root / "RUMPELSTILZ, Ottokar/damaged.dcm")
    save(private(1, 1), root / "Ottokar/gone.dcm")
    save(image("stranger", 1, 2), root / "Rumpelstilz/other.dcm")
    (root / "Rumpelstilz/garbage.dcm").write_bytes(bytes(128) + b"DICM\x02\0\x10\0UI\xff\xff1")
    others = [f"n{i}" for i in range(8)]
    for name in others:
        save(image(name), root / f"{name}.dcm")
    if key == "PatientID":
        rows = [(ID, "a"), ("stranger", "a"), ("PX-90210-b", "a")]
        rows += [(name, "ab"[i % 2]) for i, name in enumerate(others)]
    else:
        rows = [(path, "a") for path in paths]
        rows += [(name, "a") for name in ("damaged", "gone.dcm", "Rumpelstilz/other.dcm")]
        rows += [(f"{name}.dcm", "ab"[i % 2]) for i, name in enumerate(others)]
        rows += [("Ottokar/not-there.dcm", "b")]
    table(root, rows)
    dataset = load(root)
    manifest = dataset.manifest
    assert len(manifest) == 14
    disguised = manifest["image"].str.fullmatch(r"image-[0-9a-f]{16}\.dcm")
    assert disguised.sum() == 6
    (root / "Ottokar/gone.dcm").unlink()
    kept, _, problems = usable(dataset, IMAGE, out / "cache", on_problem="leave_out")
    assert len(kept.manifest) == 12
    kept.manifest.to_parquet(out / "manifest.parquet", compression="none")
    kept.manifest.to_csv(out / "manifest.csv")
    write_problems(problems, out / "problems.csv")
    (out / "said").write_text(caplog.text + "".join(capfd.readouterr()) + repr(dataset.problems))
    listed = "".join(str(path.relative_to(out)) for path in sorted(out.rglob("*")))
    (out / "names").write_text(listed)
    written = [path for path in out.rglob("*") if path.is_file()]
    assert len(written) >= 8
    for path in written:
        content = path.read_bytes().lower()
        if path.suffix == ".parquet":
            content += pd.read_parquet(path).to_csv().lower().encode()
        for text in PRIVATE:
            assert text.encode() not in content, path
            assert text.encode("utf-16-le") not in content, path


def test_the_disguise_is_the_same_again_and_needs_no_disguise_elsewhere(tmp_path):
    save(private(0, 0), tmp_path / f"{ID}.dcm")
    save(image("n1"), tmp_path / "plain.dcm")
    table(tmp_path, [(ID, "a"), ("n1", "b")])
    first, second = load(tmp_path), load(tmp_path)
    pd.testing.assert_frame_equal(first.manifest, second.manifest)
    assert first.manifest["image"][1] == "plain.dcm"
    name = first.manifest["image"][0]
    assert first.reader.stamp(name) == second.reader.stamp(name)
    content = io.BytesIO(first.reader.read(name))
    assert pydicom.dcmread(content).PatientID == ID
