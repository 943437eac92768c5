import csv
import gc
import io
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image as Pillow

from vitrial.data.cache import prepare
from vitrial.data.sources import huggingface, load_dataset
from vitrial.data.sources.huggingface import HuggingFaceData
from vitrial.errors import VitrialError
from vitrial.protocol import Image

datasets = pytest.importorskip("datasets", reason="datasets is not installed")

# The library leaves a metadata.csv open until it is collected: that is to happen here.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def caches(tmp_path_factory, monkeypatch):
    root = tmp_path_factory.mktemp("hf")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", root / "datasets")
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", root / "datasets/downloads")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    yield
    gc.collect()


def png(value):
    content = io.BytesIO()
    Pillow.fromarray(np.full((16, 16), value, np.uint8)).save(content, "PNG")
    return content.getvalue()


def image_folder(root, splits=("train", "validation", "test")):
    """Class folders of 4 images a class."""
    value = 0
    for split in splits:
        for label in ("benign", "malignant"):
            (root / split / label).mkdir(parents=True)
            for i in range(4):
                (root / split / label / f"{i}.png").write_bytes(png(value))
                value += 1
    return root


def parquet(root, split="train", n=8, image=None, features=None, **columns):
    """A split of a Parquet data set, with the images' bytes inside."""
    columns = {
        "image": image or [{"bytes": png(10 * i), "path": None} for i in range(n)],
        "label": [i % 2 for i in range(n)],
        **columns,
    }
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["no", "yes", "maybe"])}
    kinds |= {name: datasets.Value("string") for name in columns if name not in kinds}
    table = datasets.Dataset.from_dict(columns, datasets.Features(kinds | (features or {})))
    (root / "data").mkdir(parents=True, exist_ok=True)
    # Not `to_parquet`, which would put the files that are named inside.
    pq.write_table(table.data.table, root / "data" / f"{split}-00000-of-00001.parquet")
    return root


def load(repo, **more):
    return load_dataset(HuggingFaceData(source="huggingface", repo=str(repo), **more))


def told(dataset, *, fatal):
    return [problem.where for problem in dataset.problems if problem.fatal == fatal]


def test_an_image_folder_with_splits(tmp_path):
    dataset = load(image_folder(tmp_path / "skin"))
    manifest = dataset.manifest
    assert (dataset.name, dataset.classes) == ("skin", ["benign", "malignant"])
    assert manifest["split"].value_counts().to_dict() == {"train": 8, "val": 8, "test": 8}
    assert manifest["group"].is_unique
    assert dataset.problems == []
    held = {path.read_bytes(): path for path in (tmp_path / "skin").rglob("*.png")}
    for name, label in zip(manifest["image"], manifest["label"], strict=True):
        path = held.pop(dataset.reader.read(name))
        assert (path.parent.name, path.parent.parent.name) == (label, name.split("/")[0])
    assert held == {}
    cache, problems = prepare(dataset, Image(resize=16, channels=1), tmp_path / "cache")
    assert (cache.shape, problems) == ((24, 16, 16, 1), [])


def test_a_table_of_metadata(tmp_path):
    root = tmp_path / "eyes"
    root.mkdir()
    rows = [["file_name", "grade", "patient", "age", "split"]]
    for i in range(6):
        (root / f"{i}.png").write_bytes(png(i))
        rows.append([f"{i}.png", [10, 2, 2][i % 3], f"p{i // 2}" if i < 4 else "", 50 + i, "x"])
    with (root / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    dataset = load(root, label="grade", group="patient")
    manifest = dataset.manifest.sort_values("image")
    assert dataset.classes == ["2", "10"]
    assert "split" not in manifest
    assert manifest["group"].tolist() == ["p0", "p0", "p1", "p1", "train/00004", "train/00005"]
    assert manifest["age"].tolist() == [50, 51, 52, 53, 54, 55]
    assert manifest["table:split"].tolist() == ["x"] * 6
    assert told(dataset, fatal=False) == ["feature patient"]
    assert dataset.reader.read("train/00003") == png(3)


def test_images_made_from_pixels_are_no_files(tmp_path):
    assert not load(parquet(tmp_path / "made")).has_files
    stored = [{"bytes": png(i), "path": f"{i}.png"} for i in range(8)]
    assert load(parquet(tmp_path / "stored", image=stored)).has_files
    assert load(image_folder(tmp_path / "folder")).has_files


def test_parquet_keeps_the_encoded_bytes(tmp_path):
    scan = [{"bytes": b"any bytes", "path": "1.jpg"}, *({"bytes": png(i)} for i in range(7))]
    scan = [{"path": None, **image} for image in scan]
    site = datasets.ClassLabel(names=["arm", "leg"])
    root = parquet(tmp_path, image=scan, site=[0, 1] * 4, features={"site": site})
    dataset = load(root)
    assert dataset.reader.read("train/00000") == b"any bytes"
    assert dataset.reader.read("train/00007") == png(6)
    # A class that no image has is no class.
    assert dataset.classes == ["no", "yes"]
    assert dataset.manifest["label"].tolist() == ["no", "yes"] * 4
    assert dataset.manifest["site"].tolist() == ["arm", "leg"] * 4
    assert "split" not in dataset.manifest
    for name in ("train/00008", "test/00000", "train/x", "train", "../x"):
        with pytest.raises(FileNotFoundError):
            dataset.reader.read(name)


def test_a_stamp_follows_the_content(tmp_path):
    first = load(parquet(tmp_path / "a")).reader
    assert first.stamp("train/00001") == load(tmp_path / "a").reader.stamp("train/00001")
    assert first.stamp("train/00001") != first.stamp("train/00002")
    shutil.rmtree(tmp_path / "a")
    other = load(parquet(tmp_path / "a", n=9)).reader
    assert first.stamp("train/00001") != other.stamp("train/00001")
    folder = image_folder(tmp_path / "b")
    reader = load(folder).reader
    before = reader.stamp("train/00000")
    (folder / "train/benign/0.png").write_bytes(png(200))
    assert reader.stamp("train/00000") != before


def test_labels_that_are_missing(tmp_path):
    parquet(tmp_path, label=[0, 1, None, -1, 0, 1, 0, 1])
    parquet(tmp_path, "test", label=[-1] * 8)
    parquet(tmp_path, "validation")
    dataset = load(tmp_path)
    assert told(dataset, fatal=True) == ["train/00002", "train/00003"]
    assert told(dataset, fatal=False) == ["split test", "split test"]
    assert dataset.manifest["split"].value_counts().to_dict() == {"train": 6, "val": 8}


def test_an_image_that_is_missing_is_told(tmp_path):
    images = [{"bytes": png(i), "path": None} for i in range(7)]
    dataset = load(parquet(tmp_path, image=[*images, None]))
    _, problems = prepare(dataset, Image(resize=16), tmp_path / "cache")
    assert [problem.where for problem in problems if problem.fatal] == ["train/00007"]


def test_features_that_are_not_there(tmp_path):
    lists = datasets.List(datasets.Value("int64"))
    parquet(tmp_path, patient=["p"] * 8, boxes=[[1]] * 8, features={"boxes": lists})
    with pytest.raises(VitrialError, match=r"data\.label: .* no feature 'labl', did you mean lab"):
        load(tmp_path, label="labl")
    with pytest.raises(VitrialError, match=r"Its features are image, label, patient, boxes\."):
        load(tmp_path, group="lesion")
    with pytest.raises(VitrialError, match="'patient' holds no images; those that do are: image"):
        load(tmp_path, image="patient")
    with pytest.raises(VitrialError, match="'boxes' is no single number or text"):
        load(tmp_path, label="boxes")
    assert "boxes" not in load(tmp_path).manifest


def test_nothing_outside_the_folder_is_read(tmp_path):
    (tmp_path / "secret.png").write_bytes(png(1))
    root = tmp_path / "root"
    inside = {"bytes": None, "path": "inside.png"}
    paths = [str(tmp_path / "secret.png"), "../secret.png", "data/../../secret.png", "link.png"]
    outside = [{"bytes": None, "path": path} for path in paths]
    parquet(root, n=5, image=[inside, *outside])
    (root / "inside.png").write_bytes(png(2))
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    reader = load(root).reader
    assert reader.read("train/00000") == png(2)
    for row in range(1, 5):
        for act in (reader.read, reader.stamp):
            with pytest.raises(VitrialError, match="outside the data set's folder"):
                act(f"train/0000{row}")


def test_code_of_a_data_set_is_not_run(tmp_path):
    root = tmp_path / "trap"
    root.mkdir()
    (root / "trap.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    with pytest.raises(VitrialError, match="cannot be loaded"):
        load(root)
    assert not (tmp_path / "ran").exists()


def test_where_a_data_set_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image_folder(tmp_path / "skin")

    def repo(text):
        return HuggingFaceData(source="huggingface", repo=text).repo

    assert repo("skin") == repo("./skin") == str(tmp_path / "skin")
    assert repo("./other") == str(tmp_path / "other")
    assert repo("owner/name") == "owner/name"
    with pytest.raises(VitrialError, match="there is no folder"):
        load("./other")
    for text in ("imagefolder", "https://example.org/a.csv", "owner/../name"):
        with pytest.raises(VitrialError, match="neither a folder nor OWNER/NAME"):
            load(text)


def test_the_hub_without_a_network():
    with pytest.raises(VitrialError, match=r"owner/name cannot be loaded .* name a local folder"):
        load("owner/name")


def test_splits_of_other_names(tmp_path):
    root = image_folder(tmp_path / "a")
    card = "\n".join(
        ["---", "configs:", "- config_name: default", "  data_files:"]
        + [f"  - {{split: {a}, path: {b}/**}}" for a, b in (("fold1", "train"), ("fold2", "test"))]
        + ["---", ""]
    )
    (root / "README.md").write_text(card)
    with pytest.raises(VitrialError, match="has the splits fold1, fold2: call those"):
        load(root)
    (root / "README.md").write_text(card.replace("fold1", "train"))
    dataset = load(root)
    assert told(dataset, fatal=False) == ["split fold2"]
    assert "split" not in dataset.manifest
    with pytest.raises(VitrialError, match="correct repo or config"):
        load(root, config="other")


def test_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface, "find_spec", lambda name: None)
    with pytest.raises(VitrialError, match=r"pip install 'vitrial\[huggingface\]'"):
        load(tmp_path)
