import numpy as np
import pytest
from PIL import Image as Pillow

from vitrial.data.prepared import prepare_data
from vitrial.errors import DataError
from vitrial.protocol import FolderData, Image, PhantomData, Split

PHANTOMS = PhantomData(source="phantom", patients=40, size=40)


@pytest.fixture(scope="module")
def data(pixel_caches):
    return prepare_data(PHANTOMS, Split(), Image(resize=32), pixel_caches)


def test_statistics_are_those_of_the_training_pixels_alone(data):
    training = data.rows_of("train")["row"].to_numpy()
    pixels = data.cache.read(training).reshape(-1, 3) / 255
    np.testing.assert_allclose(data.mean, pixels.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(data.std, pixels.std(axis=0), atol=1e-9)


def test_images_and_targets_belong_together(data):
    part = data.rows_of("test")
    images, targets = data.images_of("test")[np.array([3, 0])]
    rows = part["row"].to_numpy()[[3, 0]]
    np.testing.assert_array_equal(images.numpy(), data.cache.read(rows))
    labels = part["label"].to_numpy()[[3, 0]]
    assert [data.classes[t] for t in targets] == labels.tolist()


def test_no_patient_is_in_two_splits(data):
    assert (data.manifest.groupby("group")["split"].nunique() == 1).all()


def test_the_fingerprint_changes_with_split_pixels_and_classes(data, pixel_caches):
    others = [
        prepare_data(PHANTOMS, Split(seed=1), Image(resize=32), pixel_caches),
        prepare_data(PHANTOMS, Split(), Image(resize=36), pixel_caches),
        prepare_data(
            PHANTOMS.model_copy(update={"classes": list(reversed(data.classes))}),
            Split(),
            Image(resize=32),
            pixel_caches,
        ),
    ]
    again = prepare_data(PHANTOMS, Split(), Image(resize=32), pixel_caches)
    assert again.fingerprint() == data.fingerprint()
    assert len({data.fingerprint(), *(other.fingerprint() for other in others)}) == 4


def test_an_unknown_column_to_stratify_by_is_refused_before_decoding(monkeypatch, tmp_path):
    monkeypatch.setattr("vitrial.data.prepared.usable", None)
    with pytest.raises(DataError, match=r"split\.stratify names no column"):
        prepare_data(PHANTOMS, Split(stratify=["hospital"]), Image(resize=32), tmp_path)


def test_a_single_channel_of_16_bits(pixel_caches):
    mammograms = PHANTOMS.model_copy(update={"task": "mammogram"})
    image = Image(resize=32, channels=1, window=(0, 65535))
    data = prepare_data(mammograms, Split(), image, pixel_caches)
    assert data.cache.shape[1:] == (32, 32, 1)
    assert len(data.mean) == 1
    assert data.std[0] > 0.05


def test_held_out_files_are_left_out_and_said(data, pixel_caches):
    held_out = frozenset(data.rows_of("test")["sha256"])
    source = prepare_data(PHANTOMS, Split(seed=1), Image(resize=32), pixel_caches, held_out)
    assert not held_out & set(source.manifest["sha256"])
    assert len(source.manifest) == len(data.manifest) - len(held_out)
    assert f"has {len(held_out)} images of the trial's" in source.problems[-1].what


def test_copies_of_an_image_in_two_given_splits_are_a_leak(tmp_path, pixel_caches):
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(3):
                pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
                Pillow.fromarray(pixels).save(tmp_path / split / name / f"{i}.png")
    copy = (tmp_path / "train" / "a" / "0.png").read_bytes()
    (tmp_path / "test" / "a" / "copy.png").write_bytes(copy)
    folder = FolderData(source="folder", root=tmp_path)
    with pytest.raises(DataError) as error:
        prepare_data(folder, Split(), Image(resize=16), pixel_caches)
    leaks = [problem for problem in error.value.problems if problem.fatal]
    assert [leak.where for leak in leaks] == ["group test/a/copy.png"]
    assert "has images in test and train" in leaks[0].what
