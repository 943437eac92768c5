import numpy as np
import pytest
from PIL import Image as Pillow

from vitrial.data.prepared import prepare_data
from vitrial.data.sources.folder import FolderData
from vitrial.data.sources.medmnist import MedMnistData
from vitrial.data.sources.phantom import PhantomData
from vitrial.data.split import SPLITS
from vitrial.errors import DataError
from vitrial.protocol import Image, Split

PHANTOMS = PhantomData(source="phantom", patients=40, size=40)


@pytest.fixture(scope="module")
def data(pixel_caches):
    return prepare_data(PHANTOMS, Split(), Image(resize=32), pixel_caches)


def test_statistics_are_those_of_the_training_pixels_alone(data):
    training = data.rows_of("train")["row"].to_numpy()
    pixels = data.cache.read(training).reshape(-1, 3) / 255
    np.testing.assert_allclose(data.mean, pixels.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(data.std, pixels.std(axis=0), atol=1e-9)


def test_statistics_are_found_again_without_reading_and_made_anew_where_damaged(
    tmp_path, monkeypatch
):
    def prepared():
        return prepare_data(PHANTOMS, Split(), Image(resize=32), tmp_path)

    def refuse(cache, rows):
        raise AssertionError("pixels are read again")

    first = prepared()
    with monkeypatch.context() as patching:
        patching.setattr("vitrial.data.cache.PixelCache.read", refuse)
        second = prepared()
    assert (second.mean, second.std) == (first.mean, first.std)
    (kept,) = first.cache.path.glob("levels-*.json")
    text = kept.read_text()
    kept.write_text(text.replace("[[", "[[7", 1))
    third = prepared()
    assert (third.mean, third.std) == (first.mean, first.std)
    assert kept.read_text() == text


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
    held_out = data.held_out()
    source = prepare_data(PHANTOMS, Split(seed=1), Image(resize=32), pixel_caches, held_out)
    assert not set(held_out[1]) & set(source.manifest["row"])
    assert len(source.manifest) == len(data.manifest) - len(held_out[1])
    assert f"has {len(held_out[1])} images of the trial's" in source.problems[-1].what
    assert data.manifest.set_index("row")["image"][held_out[1][0]] in source.problems[-1].what


def given_splits(tmp_path):
    """A folder of noise with given splits, and an image of train again in test."""
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(3):
                pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
                Pillow.fromarray(pixels).save(tmp_path / split / name / f"{i}.png")
    copy = (tmp_path / "train" / "a" / "0.png").read_bytes()
    (tmp_path / "test" / "a" / "copy.png").write_bytes(copy)
    return FolderData(source="folder", root=tmp_path)


def test_an_image_of_a_given_test_split_is_left_out_of_training(tmp_path, pixel_caches):
    data = prepare_data(given_splits(tmp_path), Split(), Image(resize=16), pixel_caches)
    images = set(data.manifest["image"])
    assert "test/a/copy.png" in images
    assert "train/a/0.png" not in images
    assert len(images) == 18
    (note,) = [problem for problem in data.problems if problem.where == "train/a/0.png"]
    assert note.what == "is the same picture as test/a/copy.png of test: left out of train"
    assert not note.fatal


@pytest.mark.slow
def test_look_alike_chest_x_rays_with_given_splits_can_be_used(
    pneumoniamnist, tmp_path, pixel_caches
):
    """Real X-rays of 28 pixels, healthy and ill: none is taken for a copy of another patient's."""
    with np.load(pneumoniamnist) as arrays:
        fewer = {name: array[::3] for name, array in arrays.items()}
    np.savez(tmp_path / "pneumoniamnist.npz", **fewer)
    section = MedMnistData(source="medmnist", name="pneumoniamnist", root=tmp_path)
    data = prepare_data(section, Split(), Image(resize=64, channels=1), pixel_caches)
    assert not any(problem.fatal for problem in data.problems)
    assert not any("different labels" in problem.what for problem in data.problems)
    left_out = [problem for problem in data.problems if "left out of" in problem.what]
    assert len(data.manifest) == sum(map(len, fewer.values())) // 2 - len(left_out)
    pixels = [data.cache.read(data.rows_of(split)["row"].to_numpy()) for split in SPLITS]
    train, val, test = ({image.tobytes() for image in part} for part in pixels)
    assert not (train & test) | (train & val) | (val & test)


def test_contradicting_copies_are_kept_left_out_or_stop_everything(tmp_path, pixel_caches):
    folder = given_splits(tmp_path)
    (tmp_path / "test" / "a" / "copy.png").rename(tmp_path / "train" / "b" / "copy.png")
    images = {}
    for choice in ("keep", "leave_out"):
        section = folder.model_copy(update={"on_contradiction": choice})
        data = prepare_data(section, Split(), Image(resize=16), pixel_caches)
        images[choice] = set(data.manifest["image"])
        assert any("different labels (a, b)" in problem.what for problem in data.problems)
    both = {"train/a/0.png", "train/b/copy.png"}
    assert images["keep"] - images["leave_out"] == both
    # Whatever is done with images that cannot be used.
    update = {"on_contradiction": "stop", "on_problem": "leave_out"}
    with pytest.raises(DataError) as error:
        prepare_data(folder.model_copy(update=update), Split(), Image(resize=16), pixel_caches)
    (problem,) = [problem for problem in error.value.problems if problem.fatal]
    assert "different labels (a, b)" in problem.what
