import zipfile
from pathlib import Path

import pandas as pd
import pytest

from vitrial.data.sources import load_dataset
from vitrial.data.sources.isic2019 import Isic2019Data
from vitrial.data.split import split_manifest
from vitrial.errors import VitrialError
from vitrial.protocol import Split

REAL = Path(__file__).parents[4] / "shared" / "data" / "isic2019"
TRUTH, METADATA = "ISIC_2019_Training_GroundTruth.csv", "ISIC_2019_Training_Metadata.csv"
INPUT = "ISIC_2019_Training_Input"
# The challenge's published counts.
COUNTS = {
    "MEL": 4522,
    "NV": 12875,
    "BCC": 3323,
    "AK": 867,
    "BKL": 2624,
    "DF": 239,
    "VASC": 253,
    "SCC": 628,
}


def load(root):
    return load_dataset(Isic2019Data(source="isic2019", root=root))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The official tables, and a .zip of all the images' names."""
    if not REAL.is_dir():
        pytest.skip(f"there is no {REAL}")
    root = tmp_path_factory.mktemp("isic2019")
    for name in (TRUTH, METADATA):
        (root / name).write_bytes((REAL / name).read_bytes())
    with zipfile.ZipFile(root / f"{INPUT}.zip", "w") as archive:
        archive.writestr(f"{INPUT}/LICENSE.txt", "CC BY-NC 4.0")
        for name in pd.read_csv(REAL / TRUTH)["image"]:
            archive.writestr(f"{INPUT}/{name}.jpg", b"x")
    return load(root)


def test_the_real_tables(real):
    manifest = real.manifest
    assert real.classes == list(COUNTS)
    assert manifest["label"].value_counts().to_dict() == COUNTS
    assert manifest["image"].str.endswith("_downsampled.jpg").sum() == 2074
    lesions = manifest["group"][manifest["group"] != manifest["image"]]
    assert (lesions.nunique(), len(lesions)) == (11847, 25331 - 2084)
    # All of HAM10000 is part of it, with its lesions.
    ham = lesions[lesions.str.startswith("HAM_")]
    assert (len(ham), ham.nunique()) == (10015, 7470)
    assert [(p.where, p.fatal) for p in real.problems] == [("column lesion_id", False)]
    assert "2084 images" in real.problems[0].what
    first = manifest[manifest["image"].str.endswith("ISIC_0033404.jpg")].iloc[0]
    expected = ("HAM_0006623", 55.0, "male", "posterior torso")
    assert tuple(first[["group", "age", "sex", "site"]]) == expected


def test_what_the_tables_say_of_patients(real):
    # Against pandas' own reading of the official table.
    official = pd.read_csv(REAL / METADATA)
    manifest = real.manifest
    assert [Path(name).stem for name in manifest["image"]] == official["image"].tolist()
    assert manifest["age"].equals(official["age_approx"].rename("age"))
    for column, name in {"sex": "sex", "site": "anatom_site_general"}.items():
        assert manifest[column].tolist() == official[name].fillna("").tolist()


@pytest.mark.parametrize("fractions", [(0.7, 0.15, 0.15), (0.8, 0.1, 0.1)])
def test_no_lesion_is_in_two_splits(real, fractions):
    manifest = real.manifest
    parts = split_manifest(manifest, Split(fractions=fractions))
    assert (parts.groupby(manifest["group"]).nunique() == 1).all()
    counts = pd.crosstab(manifest["label"], parts)
    for split, fraction in zip(("train", "val", "test"), fractions, strict=True):
        assert abs(counts[split].sum() / 25331 - fraction) < 0.002
        assert ((counts[split] / pd.Series(COUNTS) - fraction).abs() < 0.02).all()


def test_a_split_by_image_parts_lesions(real):
    parts = split_manifest(real.manifest, Split(fractions=(0.8, 0.1, 0.1), grouped=False))
    assert (parts.groupby(real.manifest["group"]).nunique() > 1).sum() > 1000


HEADER = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
ABOUT = "image,age_approx,anatom_site_general,lesion_id,sex"


def small(root, truth, metadata, images):
    (root / INPUT).mkdir()
    for name in images:
        (root / INPUT / name).write_bytes(b"x")
    (root / TRUTH).write_text("\n".join([HEADER, *truth]))
    (root / METADATA).write_text("\n".join([ABOUT, *metadata]))
    return root


def row(image, label):
    return ",".join([image, *("1.0" if name == label else "0.0" for name in HEADER.split(",")[1:])])


def test_names_with_and_without_downsampled(tmp_path):
    truth = [row("ISIC_1_downsampled", "MEL"), row("ISIC_2_downsampled", "NV"), row("ISIC_3", "DF")]
    metadata = ["ISIC_1_downsampled,5,,L1,male", "ISIC_2,,,L1,", "ISIC_3,x,head/neck,,female"]
    images = ["ISIC_1_downsampled.jpg", "ISIC_1.jpg", "ISIC_2.jpg", "ISIC_3_downsampled.jpg"]
    dataset = load(small(tmp_path, truth, metadata, images))
    names = ["ISIC_1.jpg", "ISIC_2.jpg", "ISIC_3_downsampled.jpg"]
    manifest = dataset.manifest
    assert manifest["image"].tolist() == [f"{INPUT}/{name}" for name in names]
    assert manifest["label"].tolist() == ["MEL", "NV", "DF"]
    assert manifest["group"].tolist() == ["L1", "L1", f"{INPUT}/ISIC_3_downsampled.jpg"]
    assert manifest["age"].isna().tolist() == [False, True, True]
    assert manifest["site"].tolist() == ["", "", "head/neck"]
    assert [p.fatal for p in dataset.problems] == [False]


def test_every_fault_is_told_with_its_row(tmp_path):
    truth = [
        row("a", "MEL"),  # 2
        "b,1,1,0,0,0,0,0,0,0",  # 3
        "c,0,0,0,0,0,0,0,0,0",  # 4
        row("d", "UNK"),  # 5
        "e,0.5,0,0,0,0,0,0,0,0.5",  # 6
        "f,yes,0,0,0,0,0,0,0,0",  # 7
        row("g", "NV"),  # 8: not in the metadata
        row("h", "NV"),  # 9: no image
        row("i", "NV"),  # 10
        row("i_downsampled", "BCC"),  # 11: contradicts row 10
        row("j", "NV"),  # 12
        row("j", "NV"),  # 13: repeats row 12
        row("k", "NV"),  # 14: metadata contradict themselves
    ]
    metadata = [f"{name},50,,L{name},male" for name in "abcdefhijk"]
    metadata += ["a,50,,La,male", "k,50,,Lx,male", ",5,,L,male", ",6,,L,male"]
    dataset = load(small(tmp_path, truth, metadata, [f"{name}.jpg" for name in "abcdefgijk"]))
    assert dataset.manifest["group"].tolist() == ["La", "Lj"]
    assert all(problem.fatal for problem in dataset.problems)
    told = {problem.where: problem.what for problem in dataset.problems}
    words = {
        3: "MEL=1 NV=1",
        4: "all are 0",
        5: "UNK=1.0",
        6: "MEL=0.5 UNK=0.5",
        7: "MEL=yes",
        8: f"not in {METADATA}",
        9: "not found",
        10: "something else of 'i' than row 11",
        11: "something else of 'i' than row 10",
        13: "repeats row 12",
        14: f"not in {METADATA}",
    }
    about = {
        11: "something else of 'k' than row 13",
        12: "repeats row 2",
        13: "something else of 'k' than row 11",
        14: "names no image",
        15: "names no image",
    }
    expected = {f"row {number} of {TRUTH}": word for number, word in words.items()}
    expected |= {f"row {number} of {METADATA}": word for number, word in about.items()}
    assert set(told) == set(expected)
    for where, word in expected.items():
        assert word in told[where]


def test_nothing_but_faults(tmp_path):
    dataset = load(small(tmp_path, [row("a", "MEL")], [], ["a.jpg"]))
    assert dataset.manifest.empty
    assert [problem.fatal for problem in dataset.problems] == [True]


def test_what_is_missing_altogether_is_told(tmp_path):
    root = small(tmp_path, [row("a", "MEL")], ["a,5,,L,male"], ["z.jpg"])
    with pytest.raises(VitrialError, match=f"holds no image that {TRUTH} names: put {INPUT}"):
        load(root)
    (root / METADATA).unlink()
    with pytest.raises(VitrialError, match=f"holds no {METADATA}"):
        load(root)
    (root / TRUTH).write_text("image,MEL,NV\na,1,0\n")
    with pytest.raises(VitrialError, match="has no column 'BCC'"):
        load(root)
    (root / TRUTH).unlink()
    with pytest.raises(VitrialError, match=f"holds no {TRUTH}"):
        load(root)
