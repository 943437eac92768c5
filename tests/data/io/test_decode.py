import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torchvision.transforms.v2.functional import resize

from vitrial.data.io.decode import decode
from vitrial.data.io.decoded import DecodeError
from vitrial.data.phantoms import dermoscopy
from vitrial.data.phantoms.patient import make_patient
from vitrial.protocol import Image

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)
GRADIENT = np.add.outer(np.arange(48), np.arange(64)).astype(np.float64) / (47 + 63)
SMALL = Image(resize=16)
GRAY = Image(resize=16, channels=1)


def encode(picture, form="PNG", **options):
    if isinstance(picture, np.ndarray):
        picture = Pillow.fromarray(picture)
    content = io.BytesIO()
    picture.save(content, form, **options)
    return content.getvalue()


def noted(decoded):
    return " ".join(what for what, _ in decoded.notes)


def test_an_image_is_resized_with_antialias():
    decoded = decode(encode(NOISE), SMALL)
    assert (decoded.pixels.shape, decoded.pixels.dtype) == ((16, 16, 3), np.uint8)
    assert decoded.pixels.flags.c_contiguous
    assert (decoded.width, decoded.height, decoded.mode) == (64, 48, "RGB")
    assert decoded.notes == []
    chw = torch.from_numpy(NOISE).permute(2, 0, 1)
    expected = resize(chw, [16, 16], antialias=True).permute(1, 2, 0).numpy()
    assert np.abs(decoded.pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_give_the_same_pixels(form):
    options = {"lossless": True} if form == "WEBP" else {}
    same = Image(resize=48)
    square = np.ascontiguousarray(NOISE[:, :48])
    np.testing.assert_array_equal(decode(encode(square, form, **options), same).pixels, square)


def test_channels():
    gray = NOISE[..., 0]
    three = decode(encode(gray), SMALL).pixels
    assert (three[..., :1] == three).all()
    np.testing.assert_array_equal(decode(encode(gray), GRAY).pixels[..., 0], three[..., 0])
    # ITU-R 601 luma.
    blue = np.zeros((16, 16, 3), np.uint8)
    blue[..., 2] = 255
    assert (decode(encode(blue), GRAY).pixels == round(255 * 0.114)).all()


def test_big_jpegs_shrink_while_they_are_decoded():
    yx = np.mgrid[:600, :800]
    waves = (127 + 100 * np.sin(yx / 40)).transpose(1, 2, 0)
    smooth = np.dstack([waves, waves[..., :1]]).astype(np.uint8)
    decoded = decode(encode(smooth, "JPEG", quality=95), SMALL)
    assert (decoded.width, decoded.height) == (800, 600)
    expected = Pillow.fromarray(smooth).resize((16, 16), Pillow.Resampling.BILINEAR)
    assert np.abs(decoded.pixels.astype(int) - np.asarray(expected)).max() <= 4


@pytest.mark.parametrize(("side", "shrinks"), [(63, False), (64, True), (127, True)])
def test_twice_the_target_is_left_of_a_jpeg_at_least(side, shrinks):
    content = encode(RNG.integers(0, 256, (side, side), dtype=np.uint8), "JPEG")
    pixels = decode(content, GRAY).pixels[..., 0]
    with Pillow.open(io.BytesIO(content)) as whole:
        resized = np.asarray(whole.resize((16, 16), Pillow.Resampling.BILINEAR))
    assert (pixels != resized).any() == shrinks


def test_a_jpeg_decoded_at_a_reduced_size_is_nearly_the_same():
    patient = make_patient("dermoscopy", 0, 3, dermoscopy.CLASSES, dermoscopy.FEMALE)
    random = np.random.default_rng(0), np.random.default_rng(1)
    content = encode(dermoscopy.draw(patient, *random, 256).pixels, "JPEG", quality=90)
    pixels = decode(content, Image(resize=64)).pixels.astype(int)  # the least that may be left
    with Pillow.open(io.BytesIO(content)) as whole:
        difference = np.abs(pixels - whole.resize((64, 64), Pillow.Resampling.BILINEAR))
    # As benchmarks/decoding.py measures of photographs.
    assert 0 < difference.mean() < 0.5
    assert difference.max() <= 10


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation, form):
    # Each orientation says how the stored image came from the upright one.
    method = Pillow.Transpose
    stored_by = {
        2: method.FLIP_LEFT_RIGHT,
        3: method.ROTATE_180,
        4: method.FLIP_TOP_BOTTOM,
        5: method.TRANSPOSE,
        6: method.ROTATE_90,
        7: method.TRANSVERSE,
        8: method.ROTATE_270,
    }
    quarters = np.kron([[10, 80], [160, 240]], np.ones((32, 32))).astype(np.uint8)
    upright = Pillow.fromarray(quarters)
    stored = upright if orientation == 1 else upright.transpose(stored_by[orientation])
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    decoded = decode(encode(stored, form, exif=exif), GRAY)
    expected = decode(encode(upright), GRAY).pixels.astype(int)
    assert np.abs(decoded.pixels - expected).max() <= 2
    assert ("EXIF" in noted(decoded)) == (orientation > 1)


def test_damaged_exif_is_no_matter():
    picture = encode(NOISE, "JPEG", exif=b"Exif\0\0damaged")
    assert decode(picture, SMALL).pixels.shape == (16, 16, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_cmyk(channels):
    red = Pillow.new("CMYK", (16, 16), (0, 255, 255, 0))
    decoded = decode(encode(red, "JPEG", quality=100), Image(resize=16, channels=channels))
    assert "CMYK" in noted(decoded)
    expected = [255, 0, 0] if channels == 3 else [76]
    assert np.abs(decoded.pixels.astype(int) - expected).max() <= 3


def test_transparent_parts_become_black():
    rgba = np.full((16, 16, 4), 200, np.uint8)
    rgba[:8, :, 3] = 0
    rgba[8:, :, 3] = 255
    decoded = decode(encode(rgba), SMALL)
    assert (decoded.pixels[:8] == 0).all()
    assert (decoded.pixels[8:] == 200).all()
    assert "alpha" in noted(decoded)
    assert decoded.mode == "RGBA"


def test_palettes():
    colored = np.zeros((16, 16, 3), np.uint8)
    colored[:, :8] = (200, 30, 60)
    palette = Pillow.fromarray(colored).quantize(4)
    for form in ("PNG", "GIF"):
        decoded = decode(encode(palette, form), SMALL)
        assert np.abs(decoded.pixels[:, :8].astype(int) - (200, 30, 60)).max() <= 4
        assert "palette" in noted(decoded)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_windowed_before_they_are_rounded(form):
    values = np.rint(1000 + 200 * GRADIENT).astype(np.uint16)
    image = Image(resize=16, channels=1, window=(1000, 1200))
    decoded = decode(encode(values, form), image)
    (note, _), *others = decoded.notes
    assert others == []
    assert note == "has more than 8 bits; 1000 to 1200 became 0 to 255"
    # 200 values, spread over all of 0 to 255; first rounded to 8 bits they would all be alike.
    assert decoded.pixels.min() < 10
    assert decoded.pixels.max() > 245
    expected = resize(torch.from_numpy((values - 1000) / 200 * 255.0)[None], [16, 16])[0].numpy()
    assert np.abs(decoded.pixels[..., 0] - expected).max() <= 0.51


def test_values_beyond_the_window_are_clipped():
    values = np.where(GRADIENT < 0.5, 0, 60000).astype(np.uint16)
    pixels = decode(encode(values), Image(resize=16, channels=1, window=(100, 200))).pixels
    assert pixels[0, 0] == 0
    assert pixels[-1, -1] == 255


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_float_and_32_bit_images_are_windowed(dtype):
    values = (GRADIENT * 1000).astype(dtype)
    decoded = decode(encode(values, "TIFF"), Image(resize=16, window=(0, 1000)))
    assert decoded.pixels.shape == (16, 16, 3)
    assert decoded.pixels.min() < 15
    assert decoded.pixels.max() > 240
    if dtype is np.float32:
        values[3, 4] = np.nan
        with pytest.raises(DecodeError, match="not finite"):
            decode(encode(values, "TIFF"), SMALL)


@pytest.mark.parametrize("window", [(0, 65535), (5000, 6000)])
def test_a_window_that_leaves_nothing_is_noted(window):
    twelve_bits = (GRADIENT * 4095).astype(np.uint16)
    decoded = decode(encode(twelve_bits), Image(resize=16, window=window))
    assert "from 0 to 4095" in noted(decoded)
    assert "image.window" in decoded.notes[0][1]


def test_eight_bits_are_not_windowed():
    image = Image(resize=16, window=(0, 10))
    np.testing.assert_array_equal(
        decode(encode(NOISE), image).pixels, decode(encode(NOISE), SMALL).pixels
    )


def png_chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def test_sixteen_bit_colors_are_noted():
    colors = np.zeros((16, 16, 3), ">u2")
    colors[:] = (0x1234, 0x5678, 0x9ABC)
    lines = b"".join(b"\0" + line.tobytes() for line in colors)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0))
        + png_chunk(b"IDAT", zlib.compress(lines))
        + png_chunk(b"IEND", b"")
    )
    decoded = decode(content, SMALL)
    assert (decoded.pixels == (0x12, 0x56, 0x9A)).all()
    assert "16-bit colors" in noted(decoded)


def test_of_several_frames_the_first_is_used():
    frames = [Pillow.new("L", (16, 16), value) for value in (50, 100, 150)]
    content = encode(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    decoded = decode(content, GRAY)
    assert (decoded.pixels == 50).all()
    assert "several frames" in noted(decoded)


JPEG, PNG = encode(NOISE, "JPEG"), encode(NOISE)
CHECKSUM = PNG.index(b"IEND") - 5  # the last byte of the pixels' checksum
DAMAGED = {
    "wrong checksum": (
        PNG[:CHECKSUM] + bytes([PNG[CHECKSUM] ^ 1]) + PNG[CHECKSUM + 1 :],
        "damaged",
    ),
    "empty": (b"", "empty file of 0 bytes"),
    "text": (b"patient;age\n1;64\n", "not an image but text"),
    "dicom": (bytes(128) + b"DICM" + bytes(100), "DICOM"),
    "garbage": (bytes(range(256)), "not an image"),
    "truncated jpeg": (JPEG[: len(JPEG) // 2], "damaged"),
    "truncated png": (PNG[:1000], "damaged"),
    "without an end": (PNG[:-12], "damaged"),
    "only a header": (PNG[:33], "damaged"),
    "one pixel": (encode(NOISE[:1, :1]), "only 1 x 1 pixels"),
    "a line": (encode(np.ascontiguousarray(NOISE[:4])), "only 64 x 4 pixels"),
    "vector": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image but text"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_cannot_be_used_is_told_in_plain_words(case):
    content, words = DAMAGED[case]
    with pytest.raises(DecodeError, match=words) as caught:
        decode(content, SMALL)
    assert caught.value.what
    assert caught.value.fix


def test_decompression_bombs_are_refused(monkeypatch):
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DecodeError, match="more than 2,000 pixels"):
        decode(encode(NOISE), SMALL)


def test_warnings_of_pillow_do_not_leak(monkeypatch):
    # Between one and two times the limit, Pillow warns; warnings are errors here.
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 2000)
    content = encode(NOISE)
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: decode(content, SMALL), range(200)))
    assert len(results) == 200
    assert list(warnings.filters) == filters


def test_threads_decode_alike():
    contents = [encode(np.roll(NOISE, i, axis=0), "JPEG") for i in range(32)]
    alone = [decode(content, SMALL).pixels for content in contents]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda content: decode(content, SMALL).pixels, contents))
    np.testing.assert_array_equal(alone, together)
