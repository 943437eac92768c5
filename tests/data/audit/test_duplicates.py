import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from vitrial.data.audit import duplicates
from vitrial.data.audit.alignment import MOVES, POSES, TURNS, align, displaced, posed, turned
from vitrial.data.audit.duplicates import find_duplicates
from vitrial.data.audit.perceptual_hash import hashes
from vitrial.data.audit.reduction import inner_boxes, reduce, whole_box
from vitrial.data.audit.resemblance import RESEMBLE, correlation, resemblance, shared_structure
from vitrial.data.cache import PixelCache, prepare
from vitrial.data.sources import load_dataset
from vitrial.data.sources.folder import FolderData
from vitrial.data.sources.phantom import PhantomData
from vitrial.protocol import Image

SIDE, COPIED = 112, 20
ALTERATIONS = {}
LEAST_FOUND = {"cropped_to_a_corner": 0.8, "turned_by_3_degrees": 0.8}


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
def cropped_to_the_center(image):
    w, h = image.size
    return image.crop((round(0.04 * w), round(0.04 * h), round(0.96 * w), round(0.96 * h)))


@alteration
def cropped_to_a_corner(image):
    w, h = image.size
    return image.crop((0, 0, round(0.93 * w), round(0.93 * h)))


@alteration
def padded_to_a_square(image):
    square = Pillow.new("RGB", (image.width, round(1.3 * image.height)))
    square.paste(image, (0, round(0.15 * image.height)))
    return square


@alteration
def in_a_white_border(image):
    framed = Pillow.new("RGB", (image.width + 4, image.height + 4), (255, 255, 255))
    framed.paste(image, (2, 2))
    return framed


@alteration
def turned_by_3_degrees(image):
    return image.rotate(3, Pillow.Resampling.BILINEAR)


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
    assert len(found) >= LEAST_FOUND.get(alter.__name__, 0.95) * COPIED


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
    assert pairs["correlation"].between(RESEMBLE[0], 1 + 1e-6).all()
    # A tree: n pictures, n - 1 edges.
    everyone = frozenset.union(*names(cache, pairs))
    assert everyone == {"a/1.png", "a/2.bmp", "b/3.tif", "b/4.png"}


def test_blank_pictures_are_reported_and_copies_of_nothing(tmp_path):
    shades = [0, 0, 1, 128, 255]
    images = {f"a/{i}.png": Pillow.new("RGB", (40, 40), (s,) * 3) for i, s in enumerate(shades)}
    faint = np.random.default_rng(0).integers(0, 2, (2, 40, 40), dtype=np.uint8)
    images |= {f"b/{i}.png": Pillow.fromarray(noise) for i, noise in enumerate(faint)}
    cache = cached(tmp_path, images, side=32)
    pairs = find_duplicates(cache)
    assert set(pairs["kind"]) == {"blank"}
    assert names(cache, pairs) == {frozenset({name}) for name in images}


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
    common = np.zeros((8, 8))
    for turn in range(TURNS):
        expected = hashes(turned(gray, turn), common)[0]
        np.testing.assert_array_equal(expected, hashes(gray, common)[turn])


def test_moves_are_the_crops_and_the_turn_that_they_are_called():
    y, x = np.indices((64, 64), dtype=np.float32)
    found = [posed(image[None], pose)[0] for pose in range(TURNS, POSES) for image in (y, x)]
    corners = [(image[0, 0], image[-1, -1]) for image in found]
    assert len(MOVES) == 6
    # The crop to the upper left ends 8 % before the lower right, that to the center 4.5 %.
    np.testing.assert_allclose(corners[0], (0, 0.92 * 63), atol=0.5)
    np.testing.assert_allclose(corners[6], (0.08 * 63, 63), atol=0.5)
    np.testing.assert_allclose(corners[8], (0.045 * 63, 0.955 * 63), atol=0.5)
    down_the_left_edge = found[11][1:-1, 32]
    angle = np.degrees(np.arctan(np.polyfit(np.arange(62), down_the_left_edge, 1)[0]))
    assert abs(angle) == pytest.approx(4, abs=0.2)


def test_a_border_of_one_color_is_left_out():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 100, 100, 3), dtype=np.uint8)
    pixels[1, :20] = 255
    pixels[2, :, 90:] = 7
    pixels[3] = 9
    pixels[3, 45:55, 45:55] = 100
    np.testing.assert_array_equal(whole_box(100, 100), (3, 97, 3, 97))
    boxes = inner_boxes(pixels)
    np.testing.assert_array_equal(boxes[0], (3, 97, 3, 97))
    np.testing.assert_array_equal(boxes[1], (22, 98, 3, 97))
    np.testing.assert_array_equal(boxes[2], (3, 97, 3, 87))
    np.testing.assert_array_equal(boxes[3], (3, 97, 3, 97))  # too little would be left


def test_resemblance_leaves_out_what_pictures_share():
    rng = np.random.default_rng(0)
    anatomy, own = rng.normal(size=(1, 64, 64)), rng.normal(size=(64, 64, 64))
    images = (2 * anatomy + own).astype(np.float32)
    shared = shared_structure(images)
    assert shared.shape[0] == 8
    np.testing.assert_allclose(shared @ shared.T, np.eye(8), atol=1e-4)
    a, b = images[:1], images[1:2]
    assert correlation(a, b)[0] > 0.75
    assert abs(resemblance(a, b, shared)[0]) < 0.2
    noisy = a + 0.3 * rng.normal(size=a.shape)
    assert resemblance(a, noisy, shared)[0] > 0.85


def test_a_picture_that_is_copied_often_is_nothing_shared():
    own = np.random.default_rng(0).normal(size=(32, 64, 64)).astype(np.float32)
    shared = shared_structure(np.concatenate([np.repeat(own[:1], 50, axis=0), own]))
    copy = own[:1] + 0.3 * np.random.default_rng(1).normal(size=(1, 64, 64))
    assert shared.shape[0] == 4
    assert resemblance(own[:1], copy, shared)[0] > 0.8


def test_less_than_certain_resemblance_does_not_chain(monkeypatch, tmp_path):
    """A picture that fades into another, step by step: neighbors resemble, the ends do not."""
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(40, 16, 16))
    start, end = waves[:2]
    mixed = [np.cos(t) * start + np.sin(t) * end for t in np.linspace(0, np.pi / 2, 10)]
    everything = [*mixed, *waves[2:]]
    images = {}
    for i, picture in enumerate(everything):
        gray = np.clip(128 + 40 * picture, 0, 255).astype(np.uint8)
        large = Pillow.fromarray(gray).resize((SIDE, SIDE), Pillow.Resampling.BICUBIC)
        images[f"{'ab'[i % 2]}/{i:02}.png"] = large
    cache = cached(tmp_path, images)
    monkeypatch.setattr(duplicates, "CERTAIN", 1.0)
    pairs = find_duplicates(cache)
    assert len(pairs) >= 5
    # Stars: of the two ends of every edge one has no other.
    ends = pd.concat([pairs["first"], pairs["second"]])
    times = ends.value_counts()
    assert (
        (pd.concat([pairs["first"].map(times), pairs["second"].map(times)], axis=1) == 1)
        .any(axis=1)
        .all()
    )


@pytest.mark.slow
def test_look_alike_chest_x_rays_of_28_pixels_are_no_copies(pneumoniamnist, tmp_path):
    """Real X-rays of children: those whose pixels are equal are copies, and no others."""
    with np.load(pneumoniamnist) as arrays:
        pixels = np.concatenate([arrays["val_images"], arrays["test_images"]])
    images = {f"{'ab'[i % 2]}/{i:03}.png": Pillow.fromarray(p) for i, p in enumerate(pixels)}
    cache = cached(tmp_path, images, side=64)
    assert not (find_duplicates(cache)["kind"] == "near").any()


def test_alignment_undoes_a_small_displacement():
    y, x = np.indices((32, 32), dtype=np.float32)

    def waves(y, x):
        return (np.sin(y / 3) + np.cos(x / 4) + np.sin((x + y) / 5))[None]

    a, b = waves(y, x), waves(y + 0.4, x - 0.3)
    fit, displacement = align(a, b, np.zeros((2, 3), np.float32))
    assert correlation(a, b)[0] < fit[0]
    assert fit[0] > 0.995
    np.testing.assert_allclose(displacement[0, :, 0], [0.4, -0.3], atol=0.05)
    moved = displaced(a, displacement)
    assert correlation(moved, b, margin=2)[0] > 0.99
    assert align(a, -a, np.zeros((2, 3), np.float32))[0][0] == 0


def test_correlation_is_pearsons():
    a, b = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
    expected = [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(correlation(a, b), expected, atol=1e-5)
