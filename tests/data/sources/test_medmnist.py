import hashlib
import io
import zipfile

import numpy as np
import pytest
from PIL import Image as Pillow

from vitrial.data.cache import prepare
from vitrial.data.sources import load_dataset, medmnist
from vitrial.data.sources.medmnist import MedMnistData, about_part, facts
from vitrial.errors import VitrialError
from vitrial.protocol import Image

COUNTS = {"train": 12, "val": 5, "test": 7}


@pytest.fixture(autouse=True)
def cache_root(tmp_path, monkeypatch):
    monkeypatch.setenv("VITRIAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def arrays(name, size=28, seed=0):
    """A small set's arrays, in the shapes and types of the archive's."""
    rng = np.random.default_rng(seed)
    known = facts()[name]
    item = (size, size) if known.channels == 1 else (size, size, 3)
    found = {}
    for split, n in COUNTS.items():
        found[f"{split}_images"] = rng.integers(0, 256, (n, *item), dtype=np.uint8)
        if known.multilabel:
            labels = rng.integers(0, 2, (n, len(known.classes)))
        else:
            labels = np.arange(n)[:, None] % len(known.classes)
        found[f"{split}_labels"] = labels.astype(np.uint8)
    return found


def place(root, name, size=28, **changed):
    """Write a set's file as the archive names it; an array that is None is left out."""
    found = {k: v for k, v in (arrays(name, size) | changed).items() if v is not None}
    path = root / (f"{name}.npz" if size == 28 else f"{name}_{size}.npz")
    np.savez_compressed(path, **found)
    return path


def load(root, name, **more):
    return load_dataset(MedMnistData(source="medmnist", name=name, root=root, **more))


# What is known of the sets


def test_the_published_sizes():
    # Table 2 of Yang et al. 2023: images in all, and classes. The organ sets are those of the
    # archive's third version, which lacks a few.
    published = {
        "pathmnist": (107_180, 9),
        "chestmnist": (112_120, 14),
        "dermamnist": (10_015, 7),
        "octmnist": (109_309, 4),
        "pneumoniamnist": (5_856, 2),
        "retinamnist": (1_600, 5),
        "breastmnist": (780, 2),
        "bloodmnist": (17_092, 8),
        "tissuemnist": (236_386, 8),
        "organamnist": (58_830, 11),
        "organcmnist": (23_583, 11),
        "organsmnist": (25_211, 11),
    }
    found = {name: (sum(k.images.values()), len(k.classes)) for name, k in facts().items()}
    assert found == published
    checksums = [md5 for known in facts().values() for md5 in known.md5.values()]
    assert all(len(md5) == 32 and int(md5, 16) for md5 in checksums)
    assert len(set(checksums)) == 48
    assert all(set(known.md5) == {28, 64, 128, 224} for known in facts().values())


def test_about_a_set():
    about = about_part("dermamnist@64")
    assert about.where.startswith("https://zenodo.org/records/10519652/files/dermamnist_64.npz")
    assert about.license == "CC BY-NC 4.0"
    assert "10,015 images of 64 x 64" in about.size
    assert about.classes[4] == "melanoma"
    assert "/dermamnist.npz" in about_part("dermamnist").where
    with pytest.raises(VitrialError, match="did you mean dermamnist"):
        about_part("dermamnst")
    with pytest.raises(VitrialError, match="There is no dermamnist of 65 pixels"):
        about_part("dermamnist@65")


# Sets


@pytest.mark.parametrize("name", list(facts()))
def test_every_set_gives_the_pixels_it_holds(tmp_path, name):
    path = place(tmp_path, name)
    dataset = load(tmp_path, name)
    manifest, held = dataset.manifest, np.load(path)
    assert manifest["split"].value_counts().to_dict() == COUNTS
    assert manifest["group"].is_unique
    known = facts()[name]
    assert set(manifest["label"]) <= set(dataset.classes)
    if not known.multilabel:
        assert dataset.classes == known.classes
        assert manifest["label"][1] == known.classes[1]
    assert [problem.fatal for problem in dataset.problems] == [False, False]
    assert "of the same patient" in dataset.problems[0].what
    assert "is not the archive's file" in dataset.problems[1].what
    with Pillow.open(io.BytesIO(dataset.reader.read("val/00003.png"))) as picture:
        assert picture.mode == ("L" if known.channels == 1 else "RGB")
        assert np.array_equal(np.asarray(picture), held["val_images"][3])


def test_a_set_goes_into_the_pixel_cache(tmp_path):
    path = place(tmp_path, "bloodmnist", 64)
    dataset = load(tmp_path, "bloodmnist", size=64)
    assert dataset.name == "bloodmnist_64"
    cache, problems = prepare(dataset, Image(resize=64), tmp_path / "cache")
    held = np.load(path)
    expected = np.concatenate([held[f"{split}_images"] for split in COUNTS])
    assert np.array_equal(cache.read(np.arange(24)), expected)
    assert problems == []


def test_findings_against_their_absence(tmp_path):
    held = np.load(place(tmp_path, "chestmnist"))
    labels = np.concatenate([held[f"{split}_labels"] for split in COUNTS])
    dataset = load(tmp_path, "chestmnist", finding="cardiomegaly")
    assert dataset.classes == ["no cardiomegaly", "cardiomegaly"]
    has = dataset.manifest["label"] == "cardiomegaly"
    assert np.array_equal(has, labels[:, 1] == 1)
    dataset = load(tmp_path, "chestmnist")
    assert dataset.classes == ["no finding", "finding"]
    assert np.array_equal(dataset.manifest["label"] == "finding", labels.sum(axis=1) > 0)
    with pytest.raises(VitrialError, match="no finding 'cardiomegally', did you mean cardiomegaly"):
        load(tmp_path, "chestmnist", finding="cardiomegally")
    with pytest.raises(VitrialError, match="bloodmnist has classes, not findings"):
        load(tmp_path, "bloodmnist", finding="cardiomegaly")


def test_names_that_are_not_there(tmp_path):
    with pytest.raises(VitrialError, match="no 2-D set 'organmnist', did you mean organ"):
        load(tmp_path, "organmnist")
    place(tmp_path, "breastmnist")
    reader = load(tmp_path, "breastmnist").reader
    for name in ("val/00005.png", "val/3.png", "val/000003.png", "../val/00003.png", "x"):
        with pytest.raises(FileNotFoundError, match="the set holds no"):
            reader.read(name)


def test_arrays_are_unpacked_once_and_anew_when_the_file_changes(tmp_path, cache_root):
    place(tmp_path, "breastmnist")
    first = load(tmp_path, "breastmnist").reader
    again = load(tmp_path, "breastmnist").reader
    assert (first.folder, first.stamp("x")) == (again.folder, again.stamp("x"))
    place(tmp_path, "breastmnist", train_images=arrays("breastmnist", seed=1)["train_images"])
    other = load(tmp_path, "breastmnist").reader
    assert other.stamp("x") != first.stamp("x")
    assert other.read("train/00000.png") != first.read("train/00000.png")
    assert other.read("test/00000.png") == first.read("test/00000.png")
    names = [path.name for path in (cache_root / "medmnist").iterdir()]
    assert not any(name.startswith(".partial") for name in names)


def test_a_set_is_downloaded_where_it_is_not_there(tmp_path, monkeypatch):
    (tmp_path / "archive").mkdir()
    source = place(tmp_path / "archive", "breastmnist")
    md5 = hashlib.md5(source.read_bytes()).hexdigest()
    monkeypatch.setitem(facts()["breastmnist"].md5, 28, md5)
    asked = []

    def fetch(url, path, md5):
        asked.append((url, md5))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())

    monkeypatch.setattr(medmnist, "download", fetch)
    dataset = load(tmp_path / "sets", "breastmnist")
    assert asked == [("https://zenodo.org/records/10519652/files/breastmnist.npz", md5)]
    # It is the official file: only the note on patients.
    assert len(dataset.problems) == 1
    assert len(load(tmp_path / "sets", "breastmnist").manifest) == len(dataset.manifest)
    assert len(asked) == 1


# Faults


def test_labels_that_the_set_lacks_are_told(tmp_path):
    labels = arrays("pneumoniamnist")["val_labels"].astype(np.int64)
    labels[1], labels[4] = 2, -1
    place(tmp_path, "pneumoniamnist", val_labels=labels)
    dataset = load(tmp_path, "pneumoniamnist")
    assert [p.where for p in dataset.problems if p.fatal] == ["val/00001.png", "val/00004.png"]
    assert len(dataset.manifest) == 22
    assert dataset.manifest["label"].notna().all()


zeros = np.zeros


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"val_images": None}, "it has no array 'val_images'"),
        ({"val_images": zeros((5, 28, 28, 3), np.uint8)}, r"shape \(5, 28, 28, 3\)"),
        ({"val_images": zeros((5, 64, 64), np.uint8)}, r"shape \(5, 64, 64\)"),
        ({"val_images": zeros((5, 28, 28), np.float32)}, "type float32"),
        ({"val_images": np.array([{"a": 1}], dtype=object)}, "type object"),
        ({"val_images": zeros((90, 28, 28), np.uint8)}, "90 items; the set has 78 at most"),
        ({"val_images": zeros((4, 28, 28), np.uint8)}, "4 val images and 5 labels"),
        ({"val_labels": zeros((5, 14), np.uint8)}, r"shape \(5, 14\)"),
        ({"val_labels": zeros(5, "U3")}, "type <U3"),
    ],
)
def test_arrays_that_are_not_the_sets(tmp_path, cache_root, changed, what):
    place(tmp_path, "breastmnist", **changed)
    with pytest.raises(VitrialError, match=what):
        load(tmp_path, "breastmnist")


def test_a_bomb_is_not_unpacked(tmp_path, cache_root):
    path = place(tmp_path, "breastmnist", val_images=None)
    header = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (5, 28, 28)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("val_images.npy", header.getvalue() + bytes(50_000_000))
    assert path.stat().st_size < 200_000
    with pytest.raises(VitrialError, match="takes 50,000,128 bytes instead of 4,048"):
        load(tmp_path, "breastmnist")
    assert sum(f.stat().st_size for f in cache_root.rglob("*") if f.is_file()) < 1000


def test_damaged_files(tmp_path, cache_root):
    path = place(tmp_path, "breastmnist")
    whole = path.read_bytes()
    middle = len(whole) // 6
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for content in (whole[:-1000], whole[:1000], b"", b"<html>not found</html>", flipped):
        path.write_bytes(content)
        with pytest.raises(VitrialError, match=r"breastmnist\.npz' is damaged or another file"):
            load(tmp_path, "breastmnist")
    assert [f for f in cache_root.rglob("*") if f.is_file() and f.suffix != ".lock"] == []
    path.write_bytes(whole)
    assert len(load(tmp_path, "breastmnist").manifest) == 24
