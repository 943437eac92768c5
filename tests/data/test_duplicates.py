import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from vitrial.data.cache import PixelCache, prepare
from vitrial.data.duplicates import find_duplicates
from vitrial.data.resemblance import TURNS, align, correlation, displaced, hashes, reduce, turned
from vitrial.data.sources import load_dataset
from vitrial.protocol import FolderData, Image, PhantomData

SIDE, COPIED = 112, 20
ALTERATIONS = {}


def alteration(function):
    ALTERATIONS[function.__name__] = function
    return function


def jpeg(image, quality):
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return Pillow.open(content)


@alteration
def compressed_hard(image):
    return jpeg(image, 50)


@alteration
def compressed(image):
    return jpeg(image, 95)


@alteration
def halved_and_enlarged(image):
    small = image.resize((image.width // 2, image.height // 2), Pillow.Resampling.BICUBIC)
    return small.resize(image.size, Pillow.Resampling.BICUBIC)


@alteration
def cropped(image):
    w, h = image.size
    return image.crop((round(0.02 * w), round(0.03 * h), round(0.98 * w), round(0.98 * h)))


@alteration
def brighter(image):
    return image.point(lambda value: value + 30)


@alteration
def paler(image):
    return image.point(lambda value: 0.7 * value + 20)


@alteration
def mirrored(image):
    return jpeg(image.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT), 80)


@alteration
def upended(image):
    return image.transpose(Pillow.Transpose.ROTATE_90)


@alteration
def turned_over(image):
    return image.transpose(Pillow.Transpose.TRANSVERSE)


def cached(root, images, side=SIDE):
    """A cache of images by file name."""
    for name, image in images.items():
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / "images" / name)
    dataset = load_dataset(FolderData(source="folder", root=root / "images"))
    return prepare(dataset, Image(resize=side), root / "cache")[0]


def names(cache, pairs):
    """The pairs as sets of file names."""
    name = cache.index["image"].to_numpy()
    return {
        frozenset(pair) for pair in zip(name[pairs["first"]], name[pairs["second"]], strict=True)
    }


def phantoms(task, patients, tmp_path):
    dataset = load_dataset(PhantomData(source="phantom", task=task, patients=patients, size=SIDE))
    cache, _ = prepare(dataset, Image(resize=SIDE), tmp_path)
    return cache, dataset.manifest.set_index("image").loc[cache.index["image"], "group"].to_numpy()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    cache, group = phantoms("dermoscopy", 40, tmp_path_factory.mktemp("phantoms"))
    _, first = np.unique(group, return_index=True)
    return [Pillow.fromarray(image) for image in cache.read(first)]


@pytest.mark.parametrize("alter", ALTERATIONS.values(), ids=ALTERATIONS)
def test_altered_copies_are_found_and_nothing_else(alter, pictures, tmp_path):
    images = {f"a/{i}.png": picture for i, picture in enumerate(pictures)}
    images |= {f"b/{i}.png": alter(picture) for i, picture in enumerate(pictures[:COPIED])}
    cache = cached(tmp_path, images)
    found = names(cache, find_duplicates(cache))
    planted = {frozenset({f"a/{i}.png", f"b/{i}.png"}) for i in range(COPIED)}
    assert found <= planted
    assert len(found) >= 0.95 * COPIED


@pytest.mark.parametrize("task", ["dermoscopy", "fundus", "mammogram"])
def test_different_patients_are_not_copies(task, tmp_path):
    cache, group = phantoms(task, 100, tmp_path)
    pairs = find_duplicates(cache)
    assert (group[pairs["first"]] == group[pairs["second"]]).all()


def test_equal_pixels_in_other_files_are_told_apart_from_near_ones(pictures, tmp_path):
    one, other = pictures[:2]
    images = {"a/1.png": one, "a/2.bmp": one, "b/3.tif": one, "b/4.png": brighter(one)}
    cache = cached(tmp_path, images | {"b/5.png": other})
    pairs = find_duplicates(cache)
    assert pairs["kind"].tolist() == ["pixels", "pixels", "near"]
    assert pairs["correlation"].between(0.85, 1).all()
    # A tree: n pictures, n - 1 edges.
    everyone = frozenset.union(*names(cache, pairs))
    assert everyone == {"a/1.png", "a/2.bmp", "b/3.tif", "b/4.png"}


def test_pictures_of_one_colour_are_copies_only_if_equal(tmp_path):
    shades = [0, 0, 1, 128, 255]
    images = {f"a/{i}.png": Pillow.new("RGB", (40, 40), (s,) * 3) for i, s in enumerate(shades)}
    faint = np.random.default_rng(0).integers(0, 2, (2, 40, 40), dtype=np.uint8)
    images |= {f"b/{i}.png": Pillow.fromarray(noise) for i, noise in enumerate(faint)}
    cache = cached(tmp_path, images, side=32)
    assert names(cache, find_duplicates(cache)) == {frozenset({"a/0.png", "a/1.png"})}


def test_a_cache_of_one_image_or_of_the_smallest_has_an_answer(pictures, tmp_path):
    assert find_duplicates(cached(tmp_path / "1", {"a/1.png": pictures[0]})).empty
    small = {f"a/{i}.png": picture for i, picture in enumerate(pictures[:3])}
    cache = cached(tmp_path / "2", small | {"b/1.png": compressed(pictures[1])}, side=16)
    assert names(cache, find_duplicates(cache)) == {frozenset({"a/1.png", "b/1.png"})}


def test_what_was_found_is_kept_and_a_damaged_file_is_found_again(pictures, tmp_path):
    cache = cached(tmp_path, {"a/1.png": pictures[0], "b/2.png": compressed(pictures[0])})
    found = find_duplicates(cache)
    (kept,) = cache.path.glob("duplicates-*.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(kept), found)
    before = kept.stat().st_mtime_ns
    pd.testing.assert_frame_equal(find_duplicates(PixelCache(cache.path)), found)
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(b"damaged")
    pd.testing.assert_frame_equal(find_duplicates(cache), found)


def test_area_means_are_those_of_blocks():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    blocks = pixels.reshape(2, 32, 2, 32, 2, 3).mean(axis=(2, 4, 5))
    np.testing.assert_allclose(reduce(pixels, 32), blocks, rtol=1e-5)
    odd = reduce(pixels[:, :50, :50], 32)
    np.testing.assert_allclose(
        odd.mean(axis=(1, 2)), pixels[:, :50, :50].mean(axis=(1, 2, 3)), 1e-5
    )


def test_the_hash_of_a_turned_picture_needs_no_turning():
    gray = np.random.default_rng(0).normal(size=(5, 32, 32)).astype(np.float32)
    for turn in range(TURNS):
        np.testing.assert_array_equal(hashes(turned(gray, turn))[0], hashes(gray)[turn])


def test_alignment_undoes_a_small_displacement():
    y, x = np.indices((32, 32), dtype=np.float32)

    def waves(y, x):
        return (np.sin(y / 3) + np.cos(x / 4) + np.sin((x + y) / 5))[None]

    a, b = waves(y, x), waves(y + 0.4, x - 0.3)
    fit, displacement = align(a, b)
    assert correlation(a, b)[0] < fit[0]
    assert fit[0] > 0.995
    np.testing.assert_allclose(displacement[0, :, 0], [0.4, -0.3], atol=0.05)
    moved = displaced(a, displacement)
    assert correlation(moved, b, margin=2)[0] > 0.99
    assert align(a, -a)[0][0] == 0


def test_correlation_is_pearsons():
    a, b = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
    expected = [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(correlation(a, b), expected, atol=1e-5)
