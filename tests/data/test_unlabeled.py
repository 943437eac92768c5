import io
import shutil

import numpy as np
import pytest
from PIL import Image as Picture

from vitrial.data.batches import UnlabeledImages
from vitrial.data.prepared import prepare_data
from vitrial.data.sources import load_dataset
from vitrial.data.sources.folder import FolderData
from vitrial.data.sources.phantom import PhantomData
from vitrial.data.unlabeled import prepare_unlabeled
from vitrial.errors import DataError, VitrialError
from vitrial.protocol import Image, Protocol, Split
from vitrial.study.datasets import fingerprints, prepare_datasets
from vitrial.study.plan import plan

IMAGE = Image(resize=32)


@pytest.fixture
def folder(tmp_path):
    """24 images in 2 classes."""
    random = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(12):
            pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Picture.fromarray(pixels).save(tmp_path / "data" / label / f"{i}.png")
    return tmp_path / "data"


def protocol_of(folder, **changes):
    fields = {
        "name": "test",
        "data": {"source": "folder", "root": folder},
        "split": {"fractions": [0.5, 0.25, 0.25]},
        "image": {"resize": 32},
        "augment": {"crop": 32},
        "dino": {"local_views": {"size": 32}},
        "arms": [{"backbone": "resnet10t", "initialization": "random+dino"}],
        "endpoint": "balanced_accuracy",
        "repetitions": 2,
    }
    return Protocol.model_validate(fields | changes)


def everything(images):
    return images[np.arange(len(images))].numpy()


def test_self_supervision_never_sees_validation_and_test(folder, pixel_caches):
    data = prepare_datasets(protocol_of(folder), pixel_caches)["data"]
    seen = {image.tobytes() for image in everything(data.without_labels())}
    rows = data.manifest.set_index("split")["row"]
    pixels = {
        split: data.cache.read(rows[[split]].to_numpy()) for split in ("train", "val", "test")
    }
    assert seen == {image.tobytes() for image in pixels["train"]}
    assert not seen & {image.tobytes() for split in ("val", "test") for image in pixels[split]}


def test_a_share_of_labels_hides_no_image_from_self_supervision(folder, pixel_caches):
    all_labels = prepare_datasets(protocol_of(folder), pixel_caches)["data"]
    some = all_labels.labeled_subset(0.5, seed=1)
    assert len(all_labels.images_of("train")) == 12
    assert len(some.images_of("train")) == 6
    assert sorted(some.rows_of("train")["label"].unique()) == ["a", "b"]
    assert set(some.rows_of("train")["image"]) < set(all_labels.rows_of("train")["image"])
    assert some.rows_of("test")["image"].tolist() == all_labels.rows_of("test")["image"].tolist()
    assert (everything(some.without_labels()) == everything(all_labels.without_labels())).all()
    assert some.fingerprint() == all_labels.fingerprint(), "the stage's inputs tell them apart"


def test_labels_are_drawn_by_seed_whole_groups_and_nested(pixel_caches):
    phantoms = PhantomData(source="phantom", patients=80, size=32)
    data = prepare_data(phantoms, Split(), Image(resize=32), pixel_caches)

    def drawn(share, seed):
        return set(data.labeled_subset(share, seed).rows_of("train")["image"])

    training = data.rows_of("train")
    few, more = drawn(0.2, 5), drawn(0.4, 5)
    assert few < more < set(training["image"])
    assert abs(len(more) / len(training) - 0.4) < 0.1
    assert drawn(0.2, 6) != few
    groups = set(training.loc[training["image"].isin(few), "group"])
    assert few == set(training.loc[training["group"].isin(groups), "image"])


def test_further_images_join_but_copies_of_held_out_ones_do_not(folder, tmp_path, pixel_caches):
    more = tmp_path / "more" / "deep"
    more.mkdir(parents=True)
    random = np.random.default_rng(1)
    for i in range(3):
        pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Picture.fromarray(pixels).save(more / f"{i}.png")
    plain = prepare_datasets(protocol_of(folder), pixel_caches)["data"]
    for image in plain.rows_of("test")["image"]:
        shutil.copy(folder / image, more / f"copy-{image.replace('/', '-')}")

    protocol = protocol_of(folder, unlabeled=tmp_path / "more")
    datasets = prepare_datasets(protocol, pixel_caches)
    images = datasets["data"].without_labels()
    assert len(images) == 12 + 3
    rows = plain.rows_of("test")["row"].to_numpy()
    held_out = {image.tobytes() for image in plain.cache.read(rows)}
    assert not held_out & {image.tobytes() for image in everything(images)}
    assert any("6 images of the trial's" in p.what for p in datasets["data"].problems)

    # Runs that do not self-supervise are none the wiser.
    assert datasets["data"].fingerprint() == plain.fingerprint()
    keys = [
        {stage.kind: stage.key for stage in plan(p, fingerprints(d))}
        for p, d in ((protocol_of(folder), {"data": plain}), (protocol, datasets))
    ]
    assert keys[0]["selfsupervise"] != keys[1]["selfsupervise"]


def saved_again(picture, path, kind):
    if kind == "png":
        picture.save(path.with_suffix(".png"), compress_level=1)
    else:
        picture.save(path.with_suffix(".jpg"), quality=75)


@pytest.fixture(scope="module")
def phantom_folder(tmp_path_factory):
    """80 pictures in 2 classes, no two alike."""
    root = tmp_path_factory.mktemp("pictures")
    dataset = load_dataset(PhantomData(source="phantom", patients=80, size=64))
    for i, name in enumerate(dataset.manifest["image"][:160:2]):
        place = root / "ab"[i % 2] / f"{i}.png"
        place.parent.mkdir(exist_ok=True)
        Picture.open(io.BytesIO(dataset.reader.read(name))).save(place)
    return root


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_held_out_images_that_were_saved_again_reach_neither_source_nor_self_supervision(
    phantom_folder, tmp_path, pixel_caches, kind
):
    plain = prepare_datasets(protocol_of(phantom_folder), pixel_caches)["data"]
    held_out = plain.manifest.loc[plain.manifest["split"] != "train", ["image", "label"]]
    assert len(held_out) >= 35
    rng = np.random.default_rng(0)
    for i, (image, label) in enumerate(held_out.to_numpy()):
        with Picture.open(phantom_folder / image) as picture:
            for place in (tmp_path / "more", tmp_path / "source" / label):
                place.mkdir(parents=True, exist_ok=True)
                saved_again(picture, place / f"copy-{i}", kind)
    for i in range(12):
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        other = Picture.fromarray(coarse).resize((64, 64), Picture.Resampling.BICUBIC)
        for place in (tmp_path / "more", tmp_path / "source" / "ab"[i % 2]):
            other.save(place / f"other-{i}.png")
    protocol = protocol_of(
        phantom_folder,
        unlabeled=tmp_path / "more",
        sources={"other": {"source": "folder", "root": tmp_path / "source"}},
        arms=[{"backbone": "resnet10t", "initialization": "transfer:other+dino"}],
    )
    datasets = prepare_datasets(protocol, pixel_caches)
    ((cache, rows),) = datasets["data"].further
    handed_over = [*cache.index["image"][rows], *datasets["other"].manifest["image"]]
    assert [name for name in handed_over if "copy" in name] == []
    assert len(handed_over) == 24
    for problems in (datasets["data"].problems, datasets["other"].problems):
        (note,) = [p for p in problems if "of the trial's validation or test split" in p.what]
        assert note.what.startswith(f"has {len(held_out)} images")
        assert "copy-" in note.what
    # What was left out is part of what names the runs.
    everything_of = np.arange(len(cache.index))
    with_copies = UnlabeledImages([(cache, everything_of)])
    assert UnlabeledImages([(cache, rows)]).fingerprint() != with_copies.fingerprint()


def test_images_of_several_caches_come_in_any_order(folder, tmp_path, pixel_caches):
    data = prepare_data(FolderData(source="folder", root=folder), Split(), IMAGE, pixel_caches)
    part, _ = prepare_unlabeled(folder / "a", IMAGE, pixel_caches)
    images = UnlabeledImages([(data.cache, np.array([5, 2])), part])
    assert len(images) == 14
    order = np.array([3, 0, 13, 1])
    expected = [part[0].read(part[1][[1]]), data.cache.read(np.array([5]))]
    expected += [part[0].read(part[1][[11]]), data.cache.read(np.array([2]))]
    assert (images[order].numpy() == np.concatenate(expected)).all()


def test_what_cannot_be_used_is_listed_or_left_out(folder, pixel_caches):
    (folder / "a" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    with pytest.raises(DataError, match=r"1 of the images in .* cannot be used") as error:
        prepare_unlabeled(folder, IMAGE, pixel_caches)
    assert [problem.where for problem in error.value.problems] == ["a/broken.png"]
    (_, rows), problems = prepare_unlabeled(folder, IMAGE, pixel_caches, on_problem="leave_out")
    assert len(rows) == 24
    assert len(problems) == 1


def test_no_image_at_all_is_a_sentence(tmp_path, pixel_caches):
    with pytest.raises(VitrialError, match=r"There is no image below .*: correct unlabeled"):
        prepare_unlabeled(tmp_path, IMAGE, pixel_caches)


def test_a_broken_folder_of_further_images_is_told_with_the_datas_own_faults(
    folder, tmp_path, pixel_caches
):
    more = tmp_path / "more"
    more.mkdir()
    for place in (folder / "b", more):
        (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    Picture.new("RGB", (40, 40)).save(more / "fine.png")
    with pytest.raises(DataError) as error:
        prepare_datasets(protocol_of(folder, unlabeled=more), pixel_caches)
    assert {problem.where for problem in error.value.problems} == {"b/broken.png", "broken.png"}
