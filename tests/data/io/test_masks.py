import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image as Pillow
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from vitrial.data.io.masks import read_mask
from vitrial.errors import VitrialError

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


class Reader:
    """Files in memory."""

    def __init__(self, **contents):
        self.contents = contents

    def read(self, name):
        if name not in self.contents:
            raise FileNotFoundError(f"there is no '{name}'")
        return self.contents[name]

    def stamp(self, name):
        return name


def save(picture, kind="PNG", **options):
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def png(mask):
    return save(Pillow.fromarray(mask.astype(np.uint8) * 255))


def dicom(pixels, syntax=ExplicitVRLittleEndian, frames=1):
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID, file.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    file.Rows, file.Columns = pixels.shape[-2:]
    if frames > 1:
        file.NumberOfFrames = frames
    bits = 8 * pixels.itemsize
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = (
        bits,
        bits,
        bits - 1,
        0,
    )
    file.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    if syntax != ExplicitVRLittleEndian:
        file.compress(syntax, generate_instance_uid=False)
    content = io.BytesIO()
    file.save_as(content, enforce_file_format=True)
    return content.getvalue()


@given(MASKS)
def test_a_mask_comes_back_as_it_was(mask):
    read = read_mask(Reader(a=png(mask)), "a")
    assert read.dtype == bool
    assert np.array_equal(read, mask)


@given(arrays(np.bool_, (3, 9, 7)))
def test_several_masks_are_one(masks):
    reader = Reader(**{f"m{i}": png(mask) for i, mask in enumerate(masks)})
    assert np.array_equal(read_mask(reader, "m0|m1|m2"), masks.any(axis=0))


@given(MASKS, st.integers(1, 50))
def test_no_lesion_disappears_and_none_appears(mask, side):
    resized = read_mask(Reader(a=png(mask)), "a", side)
    assert resized.shape == (side, side)
    assert resized.dtype == bool
    assert resized.any() == mask.any()
    assert mask.all() <= resized.all()


@given(arrays(np.bool_, (6, 6)), st.integers(2, 4))
def test_a_mask_that_is_enlarged_covers_the_same(mask, times):
    enlarged = read_mask(Reader(a=png(mask)), "a", 6 * times)
    assert np.array_equal(enlarged, mask.repeat(times, 0).repeat(times, 1))


def test_half_a_pixel_is_enough():
    mask = np.zeros((4, 4), bool)
    mask[:2, :1] = mask[2:, 2:] = mask[0, 2] = True
    expected = [[True, False], [False, True]]
    assert read_mask(Reader(a=png(mask)), "a", 2).tolist() == expected


def test_a_small_lesion_beside_a_large_one_stays():
    large, small = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    large[:50] = small[95, 95] = True
    reader = Reader(large=png(large), small=png(small))
    read = read_mask(reader, "large|small", 10)
    assert read[:5].all()
    assert np.argwhere(read[5:]).tolist() == [[4, 9]]


def test_masks_are_brought_to_the_size_of_the_first():
    first, second = np.zeros((8, 6), bool), np.zeros((16, 12), bool)
    second[:2, :2] = True
    read = read_mask(Reader(a=png(first), b=png(second)), "a|b")
    assert np.argwhere(read).tolist() == [[0, 0]]
    assert read.shape == (8, 6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_dicom_masks(dtype, syntax):
    pixels = np.zeros((9, 7), dtype)
    pixels[2:5, 3] = [1, 2, np.iinfo(dtype).max]
    assert np.array_equal(read_mask(Reader(a=dicom(pixels, syntax)), "a"), pixels > 0)


def test_of_several_frames_the_middle_one_counts():
    pixels = np.zeros((3, 8, 8), np.uint8)
    pixels[1, 2, 3] = 1
    read = read_mask(Reader(a=dicom(pixels, frames=3)), "a")
    assert np.argwhere(read).tolist() == [[2, 3]]


def test_a_dicom_and_a_png_mask_together():
    mask = np.zeros((9, 7), np.uint8)
    mask[1, 2] = 1
    reader = Reader(a=png(np.eye(9, 7, dtype=bool)), b=dicom(mask))
    assert read_mask(reader, "a|b").sum() == 8


@pytest.mark.parametrize(
    ("mode", "lesion"),
    [("1", 1), ("L", 1), ("I;16", 7), ("I", 70_000), ("RGB", (0, 0, 1)), ("RGBA", (1, 0, 0, 255))],
)
def test_kinds_of_pictures(mode, lesion):
    picture = Pillow.new(mode, (7, 9), (0, 0, 0, 255) if mode == "RGBA" else 0)
    picture.putpixel((2, 5), lesion)
    kind = "TIFF" if mode == "I" else "PNG"
    assert np.argwhere(read_mask(Reader(a=save(picture, kind)), "a")).tolist() == [[5, 2]]


def test_what_is_transparent_is_no_lesion():
    picture = Pillow.new("RGBA", (4, 4), (255, 255, 255, 0))
    picture.putpixel((1, 2), (255, 255, 255, 255))
    assert np.argwhere(read_mask(Reader(a=save(picture)), "a")).tolist() == [[2, 1]]


def test_a_palette_is_looked_up():
    picture = Pillow.new("P", (4, 4), 1)
    picture.putpalette([255, 255, 255, 0, 0, 0])
    picture.putpixel((1, 2), 0)
    assert np.argwhere(read_mask(Reader(a=save(picture)), "a")).tolist() == [[2, 1]]


def test_the_noise_of_jpeg_is_no_lesion():
    mask = np.zeros((40, 40), bool)
    mask[11:29, 13:27] = True
    content = save(Pillow.fromarray(mask.astype(np.uint8) * 255), "JPEG", quality=50)
    assert np.array_equal(read_mask(Reader(a=content), "a"), mask)


def test_a_mask_is_turned_as_its_orientation_says():
    mask = np.zeros((8, 12), bool)
    mask[0, 1] = True
    exif = Pillow.Exif()
    exif[0x0112] = 6  # what is shown was turned by 90 degrees clockwise
    content = save(Pillow.fromarray(mask.astype(np.uint8) * 255), exif=exif)
    assert np.array_equal(read_mask(Reader(a=content), "a"), np.rot90(mask, -1))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        png(np.eye(50, dtype=bool))[:60],
        dicom(np.ones((9, 7), np.uint8))[:-20],
        dicom(np.ones((9, 7), np.uint8))[:140],
        b"\0" * 128 + b"DICM" + b"\xff" * 50,
    ],
)
def test_an_unreadable_mask_is_told(content):
    with pytest.raises(VitrialError, match=r"The mask 'b' is .*again"):
        read_mask(Reader(a=png(np.eye(9, dtype=bool)), b=content), "a|b")


def test_a_missing_mask_is_told():
    with pytest.raises(VitrialError, match="The mask 'b' cannot be read: there is no 'b'"):
        read_mask(Reader(), "b")


def test_masks_without_pydicom(monkeypatch):
    monkeypatch.setattr("vitrial.data.io.decode.find_spec", lambda name: None)
    with pytest.raises(VitrialError, match=r"pip install 'vitrial\[dicom\]'"):
        read_mask(Reader(a=dicom(np.ones((9, 7), np.uint8))), "a")
