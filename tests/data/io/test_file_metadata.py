"""Only what the user's own files say is metadata: images out of arrays have none."""

import shutil

import numpy as np
import pytest

from vitrial.data.audit.audit import audit_dataset, audit_prepared
from vitrial.data.prepared import prepare_data
from vitrial.data.sources import load_dataset
from vitrial.data.sources.folder import FolderData
from vitrial.data.sources.medmnist import MedMnistData
from vitrial.data.sources.phantom import PhantomData
from vitrial.protocol import Image, Split
from vitrial.report.audit import facts, write_page

COUNTS = {"train": 60, "val": 20, "test": 20}


@pytest.fixture(autouse=True)
def cache_root(tmp_path, monkeypatch):
    monkeypatch.setenv("VITRIAL_CACHE", str(tmp_path / "cache"))


def planted(root):
    """A PneumoniaMNIST whose second class compresses worse, and looks the same to the eye."""
    generator = np.random.default_rng(0)
    arrays = {}
    for split, n in COUNTS.items():
        labels = np.arange(n) % 2
        coarse = generator.integers(60, 180, (n, 7, 7), dtype=np.uint8)
        images = coarse.repeat(4, axis=1).repeat(4, axis=2)
        images += generator.integers(0, 3, images.shape, np.uint8) * labels[:, None, None].astype(
            np.uint8
        )
        labels = labels[:, None].astype(np.uint8)
        arrays |= {f"{split}_images": images, f"{split}_labels": labels}
    np.savez(root / "pneumoniamnist.npz", **arrays)
    return MedMnistData(source="medmnist", name="pneumoniamnist", root=root)


def audited(data, root):
    return audit_dataset(load_dataset(data), Image(resize=32, channels=1), root / "pixels")


def families(audit):
    return [shortcut.family for shortcut in audit.shortcuts]


def made_up(audit):
    words = {name for name, _ in facts(audit)} & {"kind of file", "kilobytes", "color mode"}
    return words | ({"bytes", "suffix", "mode"} & set(audit.images))


def test_an_npz_has_no_file_metadata(tmp_path):
    audit = audited(planted(tmp_path), tmp_path)
    assert families(audit) == ["image size", "border pixels", "mean color"]
    assert made_up(audit) == set()
    assert not any("metadata" in problem.what for problem in audit.problems)
    page = write_page(audit, tmp_path / "out").read_text(encoding="utf-8")
    assert "bits per channel" in page
    assert "kind of file" not in page
    assert "file metadata" not in page


def test_the_same_images_as_files_have_it(tmp_path):
    dataset = load_dataset(planted(tmp_path))
    for name, label in zip(dataset.manifest["image"], dataset.manifest["label"], strict=True):
        path = tmp_path / "folder" / label / name.replace("/", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dataset.reader.read(name))
    audit = audited(FolderData(source="folder", root=tmp_path / "folder"), tmp_path)
    found = {shortcut.family: shortcut.suspicious for shortcut in audit.shortcuts}
    assert found["file metadata"]
    assert made_up(audit) == {"kind of file", "kilobytes", "color mode"} | {
        "bytes",
        "suffix",
        "mode",
    }


def test_nor_in_the_audit_of_a_study(tmp_path):
    data = prepare_data(planted(tmp_path), Split(), Image(resize=32), tmp_path / "pixels")
    assert "file metadata" not in families(audit_prepared(data, tmp_path / "study"))


def test_phantoms_have_none(tmp_path):
    audit = audited(PhantomData(source="phantom", patients=20, size=32), tmp_path)
    assert made_up(audit) == set()


def test_a_real_npz(pneumoniamnist, tmp_path):
    shutil.copyfile(pneumoniamnist, tmp_path / "pneumoniamnist.npz")
    data = MedMnistData(source="medmnist", name="pneumoniamnist", root=tmp_path, limit=500)
    audit = audited(data, tmp_path)
    assert "file metadata" not in families(audit)
    assert not any("file metadata" in problem.what for problem in audit.problems)
