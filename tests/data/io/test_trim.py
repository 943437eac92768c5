import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageDraw

from vitrial.data.io.decode import decode
from vitrial.data.io.trim import organ_box
from vitrial.data.sources import load_dataset
from vitrial.data.sources.phantom import PhantomData
from vitrial.protocol import Image

WIDTH, HEIGHT = 900, 600


def fundus(center, radius, size=(WIDTH, HEIGHT), text=True, noise=4):
    """A disc that darkens towards its rim, on black with JPEG-like noise and a label."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    distance = np.hypot(x - center[0], y - center[1]) / radius
    gray = np.where(distance <= 1, 150 - 90 * distance**2, 0)
    gray = gray + np.random.default_rng(0).uniform(0, noise, gray.shape)
    picture = Pillow.fromarray(gray.clip(0, 255).astype(np.uint8))
    if text:
        ImageDraw.Draw(picture).text((8, 8), "OD 12:30", fill=255, font_size=24)
    return picture


def mammogram(left=True, label=True, frame=False, noise=6):
    """Half an ellipse at one side, a marker at the other, perhaps the scanned film's edges."""
    x, y = np.meshgrid(np.arange(500), np.arange(800))
    inside = (x / 220) ** 2 + ((y - 400) / 300) ** 2 <= 1
    gray = np.where(inside, 120.0, 0) + np.random.default_rng(0).uniform(0, noise, x.shape)
    if label:
        gray[60:120, 400:470] = 255
    if frame:
        gray[:4] = gray[-4:] = 255
        gray[:, -4:] = 255
    return gray if left else gray[:, ::-1]


def near(box, expected, pixels):
    return np.abs(np.subtract(box, expected)).max() <= pixels


@settings(max_examples=20, deadline=None)
@given(st.integers(200, 700), st.integers(150, 450), st.integers(120, 400))
def test_the_disc_of_a_fundus_image(x, y, radius):
    box = organ_box(np.asarray(fundus((x, y), radius)), "fundus")
    expected = (
        max(x - radius, 0),
        max(y - radius, 0),
        min(x + radius, WIDTH),
        min(y + radius, HEIGHT),
    )
    # Cells are 3.5 x 2.3 pixels, and a median over 5 of them rounds off where the disc is cut.
    assert near(box, expected, 16)


def test_a_fundus_image_that_fills_the_frame_is_kept_whole():
    filled = fundus((450, 300), 700, text=False)
    assert organ_box(np.asarray(filled), "fundus") == (0, 0, WIDTH, HEIGHT)


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("label", [True, False])
@pytest.mark.parametrize("frame", [True, False])
def test_the_breast_of_a_mammogram(left, label, frame):
    gray = mammogram(left, label, frame)
    expected = (0, 100, 220, 700) if left else (280, 100, 500, 700)
    assert near(organ_box(gray, "mammogram"), expected, 12)


@pytest.mark.parametrize("organ", ["fundus", "mammogram"])
def test_where_nothing_stands_out(organ):
    black = np.zeros((300, 200))
    assert organ_box(black, organ) is None
    assert organ_box(np.random.default_rng(0).uniform(0, 5, (300, 200)), organ) is None
    black[:20, :30] = 255
    assert organ_box(black, organ) is None
    assert organ_box(np.zeros((8, 8)), organ) is None


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 300), st.integers(8, 300), st.integers(0, 9))
def test_a_box_lies_inside_whatever_the_image(width, height, seed):
    rng = np.random.default_rng(seed)
    gray = rng.uniform(0, 255, (height, width)) * (rng.uniform(0, 1, (height, width)) < 0.5)
    for organ in ("fundus", "mammogram"):
        box = organ_box(gray, organ)
        if box is not None:
            left, top, right, bottom = box
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height


def encode(picture, form="JPEG"):
    content = io.BytesIO()
    picture.save(content, form)
    return content.getvalue()


def test_decoding_trims_before_it_resizes():
    content = encode(fundus((450, 300), 250).convert("RGB"))
    whole = decode(content, Image(resize=64))
    cut = decode(content, Image(resize=64, trim="fundus"))
    assert (cut.width, cut.height, cut.notes) == (WIDTH, HEIGHT, [])
    # Of a square about a disc, pi / 4 is the disc.
    assert (whole.pixels[..., 0] > 20).mean() == pytest.approx(np.pi * 250**2 / 540_000, abs=0.02)
    assert (cut.pixels[..., 0] > 20).mean() == pytest.approx(np.pi / 4, abs=0.03)


def test_sixteen_bits_are_trimmed_in_their_window():
    values = (mammogram(noise=0) * 16).astype(np.uint16)
    content = encode(Pillow.fromarray(values), "PNG")
    cut = decode(content, Image(resize=32, channels=1, window=(0, 4095), trim="mammogram"))
    # The marker is gone; half an ellipse fills pi / 4 of its box.
    assert cut.pixels.max() <= 121
    assert (cut.pixels > 60).mean() == pytest.approx(np.pi / 4, abs=0.04)


def test_what_cannot_be_trimmed_is_kept_whole_with_a_note():
    content = encode(Pillow.new("RGB", (64, 48)), "PNG")
    decoded = decode(content, Image(resize=32, trim="fundus"))
    ((what, _),) = decoded.notes
    assert "image.trim: fundus" in what
    assert decode(content, Image(resize=32)).notes == []


def test_a_small_organ_in_a_large_jpeg_keeps_its_detail():
    # Stripes of 4 pixels in a disc of 240: gone if the file were decoded at a quarter.
    picture = fundus((450, 300), 120, text=False, noise=0)
    stripes = np.asarray(picture) * (np.arange(WIDTH) // 4 % 2 * 0.4 + 0.6)
    content = encode(Pillow.fromarray(stripes.astype(np.uint8)))
    cut = decode(content, Image(resize=128, channels=1, trim="fundus"))
    middle = cut.pixels[60:68, 32:96, 0].astype(float).mean(axis=0)
    assert np.ptp(middle) > 30


@pytest.mark.parametrize("task", ["fundus", "mammogram"])
def test_phantoms_lose_their_margins_only(task):
    dataset = load_dataset(PhantomData(source="phantom", task=task, patients=20, size=96))
    for name in dataset.manifest["image"][:10]:
        content = dataset.reader.read(name)
        whole = decode(content, Image(resize=96, channels=1)).pixels.astype(float)
        cut = decode(content, Image(resize=96, channels=1, trim=task))
        assert "could keep" not in str(cut.notes)
        assert cut.pixels.mean() >= whole.mean() - 1
