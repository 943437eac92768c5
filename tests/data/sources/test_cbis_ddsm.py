import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from vitrial.data.io.masks import read_mask
from vitrial.data.sources import load_dataset
from vitrial.data.sources.cbis_ddsm import CbisDdsmData
from vitrial.data.split import split_manifest
from vitrial.errors import VitrialError
from vitrial.protocol import Split

REAL = Path(__file__).parents[4] / "shared" / "data" / "cbis-ddsm"
TABLES = [
    f"{kind}_case_description_{part}_set.csv"
    for kind in ("mass", "calc")
    for part in ("train", "test")
]
FULL, CROP, OTHER = (48, 32), (16, 10), (46, 32)
SERIES = "9" * 64


def dicom(size):
    """A tiny file in which a series has to be put in place."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    file.SOPInstanceUID = "1.2.3"
    file.SeriesInstanceUID = SERIES
    file.Rows, file.Columns = size
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 8, 8, 7, 0
    file.PixelData = np.full(size, 255, np.uint8).tobytes()
    content = io.BytesIO()
    file.save_as(content, enforce_file_format=True)
    return content.getvalue()


TEMPLATES = {size: dicom(size) for size in (FULL, CROP, OTHER)}


def image(size, series):
    return TEMPLATES[size].replace(SERIES.encode(), series.encode().ljust(64, b"\0"))


def official():
    """pandas' own reading of the tables, and what kind and part each row is of."""
    tables = []
    for name in TABLES:
        table = pd.read_csv(REAL / name, dtype=str, keep_default_na=False)
        table.columns = table.columns.str.replace("_", " ")
        kind, part = name.split("_")[0], name.split("_")[3]
        tables.append(table.assign(kind=kind, part=part))
    rows = pd.concat(tables, ignore_index=True)
    for column in ("image file path", "cropped image file path", "ROI mask file path"):
        rows[column] = rows[column].str.strip()
    return rows


@pytest.fixture(scope="module")
def rows():
    if not REAL.is_dir():
        pytest.skip(f"there is no {REAL}")
    return official()


def tree(rows):
    """Files by name, as the tables name them; every other mask is where the crop should be."""
    files, masks = {}, []
    for i, row in enumerate(rows.to_dict("records")):
        paths = [row["ROI mask file path"], row["cropped image file path"]]
        mask, crop = paths[:: (1, -1)[i % 2]]
        files[row["image file path"]] = FULL
        files[mask], files[crop] = FULL, CROP
        masks.append(mask)
    return files, masks


def series(name):
    return name.split("/")[2]


def load(root, **keys):
    return load_dataset(CbisDdsmData(source="cbis_ddsm", root=root, **keys))


def official_root(root, files):
    """The official tables, and a .zip of files at the paths that they name."""
    for name in TABLES:
        (root / name).write_bytes((REAL / name).read_bytes())
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for name, size in files.items():
            archive.writestr(name, image(size, series(name)))
    return root


@pytest.fixture(scope="module")
def real(rows, tmp_path_factory):
    """The whole collection, with every other mask and crop swapped."""
    files, _ = tree(rows)
    assert len(files) == 10_239  # as many as TCIA says that there are
    root = official_root(tmp_path_factory.mktemp("cbis"), files)
    return load(root, task="pathology", official_split=True)


@pytest.fixture(scope="module")
def full(rows, tmp_path_factory):
    """The full mammograms alone."""
    files = dict.fromkeys(rows["image file path"], FULL)
    return load(official_root(tmp_path_factory.mktemp("full"), files))


@pytest.mark.slow
def test_the_published_counts(full):
    manifest = full.manifest
    part = manifest["image"].str.extract("/(Mass|Calc)-(Training|Test)_")
    counts = part.groupby([0, 1]).size().to_dict()
    # The numbers of full mammograms that users of the collection know.
    assert counts == {
        ("Mass", "Training"): 1231,
        ("Mass", "Test"): 361,
        ("Calc", "Training"): 1227,
        ("Calc", "Test"): 284,
    }
    assert manifest["abnormality"].value_counts().to_dict() == {"mass": 1592, "calcification": 1511}
    assert manifest["group"].nunique() == 1566
    assert full.classes == ["none", "mass"]
    # 71 mammograms with a mass have a copy in the tables of calcifications.
    labels = manifest["label"].value_counts().to_dict()
    assert labels == {"mass": 1592 + 71, "none": 1511 - 71}
    views = manifest.groupby(["group", "laterality", "view"])
    assert (views["label"].nunique() == 1).all()
    assert len(manifest) - len(views) == 71
    assert not [problem for problem in full.problems if problem.fatal]
    assert any("71 mammograms twice" in problem.what for problem in full.problems)


@pytest.mark.slow
def test_what_the_tables_say(real, rows):
    assert real.classes == ["benign", "malignant"]
    manifest = real.manifest.set_index(real.manifest["image"].str.removeprefix("images.zip/"))
    by = rows.groupby("image file path", sort=False)
    assert list(by.groups) == manifest.index.tolist()
    for column, official_name in {
        "group": "patient id",
        "laterality": "left or right breast",
        "view": "image view",
    }.items():
        assert manifest[column].equals(by[official_name].first().rename(column))
    assert (manifest["subtlety"] == by["subtlety"].min().astype(float)).all()
    assert (manifest["assessment"] == by["assessment"].max().astype(float)).all()
    own = by["pathology"].agg(lambda values: "MALIGNANT" in set(values))
    assert (own == (manifest["pathology"] == "MALIGNANT")).all()
    assert own.sum() == 1375
    # Of two copies of a mammogram both have the label of the worse.
    malignant = manifest["label"] == "malignant"
    assert malignant[own].all()
    assert (malignant & ~own).sum() == 16
    assert manifest["density"].equals(by["breast density"].first().rename("density"))


@pytest.mark.slow
def test_masks_are_told_from_crops_by_size(real, rows):
    _, masks = tree(rows)
    wanted = {}
    for name, mask in zip(rows["image file path"], masks, strict=True):
        wanted.setdefault(f"images.zip/{name}", set()).add(f"images.zip/{mask}")
    manifest = real.manifest
    got = dict(zip(manifest["image"], manifest["mask"].str.split("|"), strict=True))
    assert {name: set(several) for name, several in got.items()} == wanted
    assert sum(map(len, got.values())) == 3568
    several = manifest["mask"][manifest["mask"].str.contains("|", regex=False)].iloc[0]
    assert read_mask(real.reader, several).shape == FULL


@pytest.mark.slow
def test_no_patient_is_in_two_splits(full):
    manifest = full.manifest
    assert "split" not in manifest
    parts = split_manifest(manifest, Split(fractions=(0.8, 0.1, 0.1)))
    assert (parts.groupby(manifest["group"]).nunique() == 1).all()
    shares = pd.crosstab(manifest["label"], parts, normalize="index")
    assert np.allclose(shares[["train", "val", "test"]], [0.8, 0.1, 0.1], atol=0.01)


@pytest.mark.slow
def test_the_official_split(real, rows):
    manifest = real.manifest
    assert (manifest.groupby("group")["split"].nunique() == 1).all()
    test = rows[rows["part"] == "test"]
    both = set(test["patient id"]) & set(rows.loc[rows["part"] == "train", "patient id"])
    assert len(both) == 31
    moved = test[test["patient id"].isin(both)]["image file path"].nunique()
    assert moved == 50
    assert manifest["split"].value_counts().to_dict() == {"train": 2458 + 50, "test": 645 - 50}
    assert any("50 test images of 31 patients" in p.what for p in real.problems)
    parts = split_manifest(manifest, Split(fractions=(0.8, 0.1, 0.1)))
    assert ((parts == "test") == (manifest["split"] == "test")).all()
    assert (parts.groupby(manifest["group"]).nunique() == 1).all()
    assert abs((parts == "val").sum() / 2508 - 1 / 9) < 0.01


@pytest.fixture
def some(rows, tmp_path):
    """Rows of some patients: also one in all kinds of tables, and some with masks apart."""
    apart = rows["ROI mask file path"].map(series) != rows["cropped image file path"].map(series)
    patients = rows.groupby("patient id")
    wanted = {"P_00059", *sorted(patients.groups)[::60]}
    wanted |= set(sorted(rows.loc[apart, "patient id"])[:8])
    wanted |= set(patients["part"].nunique().loc[lambda n: n > 1].index[:4])
    chosen = rows[rows["patient id"].isin(wanted)]
    for name in TABLES:
        kind, part = name.split("_")[0], name.split("_")[3]
        table = chosen[(chosen["kind"] == kind) & (chosen["part"] == part)]
        (tmp_path / "tables").mkdir(exist_ok=True)
        table.to_csv(tmp_path / "tables" / name, index=False)
    return chosen


def by_description(name, size, index):
    """The data retriever's names, in which patients, dates and descriptions are left."""
    case, study, uid = name.split("/")[:3]
    what = "full mammogram images" if case.endswith(("CC", "MLO")) else "ROI mask images"
    tail = int(uid[-5:])
    study = f"07-20-2016-DDSM-{study[-5:]}"
    return f"manifest-1/CBIS-DDSM/{case}/{study}/1.000000-{what}-{tail}/1-{index}.dcm"


def by_series(name, size, index):
    return f"CBIS-DDSM/{series(name)}/1-{index}.dcm"


def write(root, files, rename):
    """Write files under other names, and say which is which by new name."""
    count, names = {}, {}
    for name, size in files.items():
        uid = series(name)
        count[uid] = count.get(uid, 0) + 1
        new = rename(name, size, count[uid])
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / new).write_bytes(image(size, uid))
        assert new not in names
        names[new] = name
    return names


@pytest.mark.parametrize("rename", [by_description, by_series])
def test_a_tree_as_downloaders_name_it(some, tmp_path, rename):
    files, masks = tree(some)
    names = write(tmp_path, files, rename)
    dataset = load(tmp_path)
    assert [p.where for p in dataset.problems] == ["the tables of masses and calcifications"]
    manifest = dataset.manifest
    assert set(manifest["image"].map(names)) == set(some["image file path"])
    found = [names[mask] for several in manifest["mask"] for mask in several.split("|")]
    assert sorted(found) == sorted(masks)
    for name, mask in zip(manifest["image"], manifest["mask"], strict=True):
        cases = {names[one].split("/")[0].rsplit("_", 1)[0] for one in mask.split("|")}
        assert cases == {names[name].split("/")[0]}
    header = pydicom.dcmread(io.BytesIO(dataset.reader.read(manifest["image"][0])))
    assert header.SeriesInstanceUID == series(names[manifest["image"][0]])


def test_what_is_missing_is_told_at_once(some, tmp_path):
    files, masks = tree(some)
    first, second = some["image file path"].unique()[:2]
    sizes = dict(zip(masks, some["image file path"], strict=True))
    third, fourth, *_ = (mask for mask in masks if sizes[mask] not in (first, second))
    del files[first], files[second], files[third]
    files[fourth] = OTHER  # some masks are not quite of the mammogram's size
    names = write(tmp_path, files, by_description)
    (tmp_path / "CBIS-DDSM").mkdir()
    (tmp_path / "CBIS-DDSM" / "1-1.dcm").write_bytes(b"damaged")
    dataset = load(tmp_path)
    fatal = [problem for problem in dataset.problems if problem.fatal]
    assert [p.what.split()[3].rstrip(",") for p in fatal] == [
        name.split("/")[0] for name in (first, second)
    ]
    assert all("cancerimagingarchive.net" in p.fix for p in fatal)
    notes = [(p.where, p.what) for p in dataset.problems if not p.fatal]
    assert ("CBIS-DDSM/1-1.dcm", "has a DICOM header that cannot be read") in notes
    assert sum("a mask that is not found" in what for _, what in notes) == 1
    assert len(dataset.manifest) == some["image file path"].nunique() - 2
    found = {names[m] for text in dataset.manifest["mask"].dropna() for m in text.split("|")}
    assert found == {m for m in masks if m != third and sizes[m] not in (first, second)}


def test_headers_are_read_only_where_they_are_needed(some, tmp_path):
    write(tmp_path, tree(some)[0], by_series)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "1-1.dcm").write_bytes(b"not looked at")
    assert all(p.where != "other/1-1.dcm" for p in load(tmp_path).problems)


def test_without_masks(some, tmp_path):
    write(tmp_path, dict.fromkeys(some["image file path"], FULL), by_series)
    dataset = load(tmp_path)
    assert dataset.manifest["mask"].tolist() == [None] * some["image file path"].nunique()
    note = dataset.problems[0]
    assert (note.where, note.fatal) == ("ROI masks", False)


HEADER = (
    "patient_id,breast_density,left or right breast,image view,abnormality id,assessment,"
    "pathology,subtlety,image file path,cropped image file path,ROI mask file path"
)


def small(root, mass=(), calc=(), images=()):
    for name, lines in zip(TABLES, (mass, (), calc, ()), strict=True):
        (root / name).write_text("\n".join([HEADER, *lines]) + "\n")
    for uid in images:
        (root / uid).mkdir()
        (root / uid / "1-1.dcm").write_bytes(image(FULL, uid))
    return root


def row(patient, uid, pathology="BENIGN", view="CC"):
    return f'{patient},3,LEFT,{view},1,4,{pathology},3,a/s/{uid}/0.dcm,,"b/s/{uid}.9/1.dcm\n"'


def test_every_fault_of_the_tables_is_told(tmp_path):
    mass = [
        row("P1", "1.1"),
        row("P2", "1.2", "MALIGN"),  # takes the next row with it
        row("P2", "1.2"),
        row("", "1.3"),
        row("P4", "").replace("a/s//0.dcm", "nothing"),
        row("P5", "1.5"),
        row("P5", "1.5", view="MLO"),
        row("P6", "1.6") + ",,too,many",
    ]
    calc = [row("P1", "1.7", "MALIGNANT")]
    images = ["1.1", "1.2", "1.3", "1.5", "1.7"]
    dataset = load(small(tmp_path, mass, calc, images), task="pathology")
    assert dataset.manifest["image"].tolist() == ["1.1/1-1.dcm", "1.7/1-1.dcm"]
    assert dataset.manifest["label"].tolist() == ["malignant", "malignant"]
    assert dataset.manifest["pathology"].tolist() == ["BENIGN", "MALIGNANT"]
    fatal = sorted((p.where, p.what) for p in dataset.problems if p.fatal)
    words = {
        3: "unknown pathology",
        5: "no patient",
        6: "no series",
        7: "another patient, breast or view",
        8: "another patient, breast or view",
        9: "cells where the header has",
    }
    assert [where for where, _ in fatal] == [f"row {n} of {TABLES[0]}" for n in words]
    for (_, what), word in zip(fatal, words.values(), strict=True):
        assert word in what


def test_what_is_missing_altogether(tmp_path, monkeypatch):
    small(tmp_path, [row("P1", "1.1")])
    with pytest.raises(VitrialError, match="holds no mammogram that the tables name: get it from"):
        load(tmp_path)
    (tmp_path / TABLES[1]).unlink()
    (tmp_path / TABLES[2]).unlink()
    with pytest.raises(VitrialError, match=f"lacks {TABLES[1]}, {TABLES[2]}"):
        load(tmp_path)
    monkeypatch.setattr("vitrial.data.io.decode.find_spec", lambda name: None)
    with pytest.raises(VitrialError, match=r"pip install 'vitrial\[dicom\]'"):
        load(tmp_path)
