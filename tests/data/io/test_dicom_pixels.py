import io
import logging
import struct
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

from vitrial.data.io.decode import decode, is_dicom
from vitrial.data.io.decoded import DecodeError
from vitrial.errors import VitrialError
from vitrial.protocol import Image

GRAY = Image(resize=16, channels=1)
COLOR = Image(resize=16)
LARGE = np.arange(1024, dtype=np.uint16).reshape(32, 32)  # JPEG 2000 refuses smaller ones
RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16)
BUNDLED = Path(pydicom.data.__file__).parent


def dicom(pixels, photometric="MONOCHROME2", syntax=ExplicitVRLittleEndian, **elements):
    """A DICOM file, its pixels stored at their full size and with as many bits."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = syntax
    file.SOPClassUID = CTImageStorage
    file.SOPInstanceUID = generate_uid(entropy_srcs=["an image"])
    file.PatientName, file.PatientID, file.PatientBirthDate = "Vogel^Kunigunde", "KV77", "19310405"
    size = pixels.dtype.itemsize * 8
    colors = 1 if photometric.startswith(("MONO", "PAL")) else 3
    file.Rows, file.Columns = pixels.shape[-3:-1] if colors == 3 else pixels.shape[-2:]
    file.SamplesPerPixel, file.PhotometricInterpretation = colors, photometric
    file.BitsAllocated = file.BitsStored = size
    file.HighBit = size - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    if colors == 3:
        file.PlanarConfiguration = 0
    if pixels.ndim > 2 + (colors == 3):
        file.NumberOfFrames = len(pixels)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    file.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    file["PixelData"].VR = "OB" if size == 8 else "OW"
    for keyword, value in elements.items():
        setattr(file, keyword, value)
    return file


def written(file):
    content = io.BytesIO()
    file.save_as(content, enforce_file_format=True)
    return content.getvalue()


def shown(file, image=GRAY):
    return decode(written(file), image)


def levels(file):
    return shown(file).pixels[..., 0]


def noted(decoded):
    return " ".join(what for what, _ in decoded.notes)


def linear(values, center, width):
    """PS3.3, C.11.2.1.2.1, with 0 to 255 as its range."""
    return np.rint(np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1) * 255)


# Transfer syntaxes


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
    ],
)
def test_transfer_syntaxes(syntax):
    values = LARGE * 4
    modality = {"RescaleSlope": 2, "RescaleIntercept": -1000}
    window = {"WindowCenter": 3000, "WindowWidth": 4000}
    compressed = syntax in (RLELossless, JPEG2000Lossless)
    plain = ExplicitVRLittleEndian if compressed else syntax
    file = dicom(values, syntax=plain, BitsStored=12, HighBit=11, **modality, **window)
    if compressed:
        file.compress(syntax, generate_instance_uid=False)
    decoded = shown(file, Image(resize=32, channels=1))
    np.testing.assert_array_equal(decoded.pixels[..., 0], linear(values * 2.0 - 1000, 3000, 4000))
    assert (decoded.width, decoded.height) == (32, 32)
    assert decoded.mode == "DICOM MONOCHROME2 12 bit"
    assert decoded.notes == []
    assert (decoded.pixels.dtype, decoded.pixels.shape) == (np.uint8, (32, 32, 1))


def test_the_same_image_in_the_syntaxes_of_other_writers():
    # pydicom's own files, written by others; the JPEG-LS one by CharLS.
    names = ["", "_RLE", "_bigendian", "_expb", "_implicit", "_jp2klossless", "_jpeg_ls_lossless"]
    first, *others = (
        decode((BUNDLED / f"test_files/MR_small{name}.dcm").read_bytes(), Image(resize=64))
        for name in names
    )
    assert np.ptp(first.pixels) > 200
    for other in others:
        np.testing.assert_array_equal(first.pixels, other.pixels)


def test_jpeg():
    smooth = (np.add.outer(np.arange(16), np.arange(16)) * 8).astype(np.uint8)
    rgb = np.dstack([smooth, smooth[::-1], np.full_like(smooth, 90)])
    for pixels, photometric in ((smooth, "MONOCHROME2"), (rgb, "YBR_FULL_422")):
        stream = io.BytesIO()
        Pillow.fromarray(pixels).save(stream, "JPEG", quality=95)
        file = dicom(pixels, photometric)
        file.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        file.PixelData = encapsulate([stream.getvalue()])
        expected = np.asarray(Pillow.open(stream).convert("RGB")).astype(int)
        assert np.abs(shown(file, COLOR).pixels - expected).max() <= 2


def test_a_file_without_preamble_and_meta():
    content = written(dicom(RAMP.astype(np.uint8), syntax=ImplicitVRLittleEndian))
    bare = content[content.index(b"\x08\0\x16\0") :]
    assert is_dicom(bare)
    decoded = decode(bare, GRAY)
    np.testing.assert_array_equal(decoded.pixels[..., 0], RAMP)
    assert "Implicit VR Little Endian is assumed" in noted(decoded)


# Photometric interpretations


def test_monochrome():
    values = RAMP.astype(np.uint8)
    np.testing.assert_array_equal(levels(dicom(values)), values)
    np.testing.assert_array_equal(levels(dicom(values, "MONOCHROME1")), 255 - values)
    three = shown(dicom(values), COLOR).pixels
    assert three.shape == (16, 16, 3)
    assert (three == values[..., None]).all()


COLORED = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def test_rgb():
    decoded = shown(dicom(COLORED, "RGB"), COLOR)
    np.testing.assert_array_equal(decoded.pixels, COLORED)
    planes = dicom(COLORED, "RGB", PlanarConfiguration=1)
    planes.PixelData = COLORED.transpose(2, 0, 1).tobytes()
    np.testing.assert_array_equal(shown(planes, COLOR).pixels, COLORED)
    luma = np.asarray(Pillow.fromarray(COLORED).convert("L"))
    np.testing.assert_array_equal(levels(dicom(COLORED, "RGB")), luma)


def test_ybr_full():
    # Pillow's YCbCr is that of JFIF, which is DICOM's too (PS3.3, C.7.6.3.1.2).
    ybr = np.asarray(Pillow.fromarray(COLORED).convert("YCbCr"))
    decoded = shown(dicom(ybr, "YBR_FULL"), COLOR)
    assert np.abs(decoded.pixels.astype(int) - COLORED).max() <= 3
    assert decoded.mode == "DICOM YBR_FULL 8 bit"


def test_ybr_rct():
    pixels = np.tile(COLORED, (2, 2, 1))
    file = dicom(pixels, "RGB")
    file.PhotometricInterpretation = "YBR_RCT"
    file.compress(JPEG2000Lossless, generate_instance_uid=False)
    np.testing.assert_array_equal(shown(file, Image(resize=32)).pixels, pixels)


@pytest.mark.parametrize("bits", [8, 16])
def test_palette_color(bits):
    index = (RAMP % 4).astype(np.uint8)
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 51, 0], [255, 255, 255]], np.uint8)
    file = dicom(index, "PALETTE COLOR")
    for channel, color in enumerate(("Red", "Green", "Blue")):
        setattr(file, f"{color}PaletteColorLookupTableDescriptor", [4, 0, bits])
        table = palette[:, channel].astype(np.uint16) * (257 if bits == 16 else 1)
        table = table.astype("<u2" if bits == 16 else np.uint8)
        setattr(file, f"{color}PaletteColorLookupTableData", table.tobytes())
    decoded = shown(file, COLOR)
    np.testing.assert_array_equal(decoded.pixels, palette[index])
    assert ("16-bit colors" in noted(decoded)) == (bits == 16)


# Windows and tables, by hand


def test_windows():
    values = np.zeros((16, 16), np.uint16)
    values[0, :6] = [0, 100, 150, 199, 200, 300]
    # LINEAR, center 150, width 101: from 99.5 to 199.5; 150 lies 50.5 / 100 of the way.
    linear_window = {"WindowCenter": 150, "WindowWidth": 101}
    assert levels(dicom(values, **linear_window))[0, :6].tolist() == [0, 1, 129, 254, 255, 255]
    # LINEAR_EXACT, center 150, width 100: from 100 to 200.
    exact = {"WindowCenter": 150, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}
    assert levels(dicom(values, **exact))[0, :6].tolist() == [0, 0, 128, 252, 255, 255]
    # SIGMOID: 255 / (1 + exp(-4 (x - c) / w)); 255 / (1 + e^2) = 30.4, 255 / (1 + e^6) = 0.6
    sigmoid = exact | {"VOILUTFunction": "SIGMOID"}
    assert levels(dicom(values, **sigmoid))[0, :6].tolist() == [1, 30, 128, 224, 225, 254]


def test_the_first_window_is_used():
    values = RAMP * 100
    two = dicom(values, WindowCenter=[12800, 5], WindowWidth=[25600, 3])
    np.testing.assert_array_equal(levels(two), linear(values, 12800, 25600))
    narrow = shown(dicom(values, WindowCenter=-500, WindowWidth=10))
    assert "spans 1 of 256 gray levels" in noted(narrow)


@pytest.mark.parametrize("center", [0, [0, 40]])
def test_a_window_around_zero(center):
    values = RAMP.astype(np.int16) * 8 - 1024
    file = dicom(values, WindowCenter=center, WindowWidth=[400, 80][: np.size(center)])
    decoded = shown(file)
    np.testing.assert_array_equal(decoded.pixels[..., 0], linear(values, 0, 400))
    assert decoded.notes == []


def test_hounsfield_units():
    # Signed values; the abdomen's window, 40 +- 200 HU.
    values = np.zeros((16, 16), np.int16)
    values[0, :4] = [-1000, 0, 1000, 2000]
    file = dicom(values, RescaleSlope=0.5, RescaleIntercept=-460, WindowCenter=40, WindowWidth=400)
    assert levels(file)[0, :4].tolist() == [0, 0, 128, 255]


def test_without_a_window_values_are_spread():
    values = (RAMP + 1000).astype(np.uint16)
    decoded = shown(dicom(values))
    np.testing.assert_array_equal(decoded.pixels[..., 0], RAMP)
    assert "1000 to 1255, became 0 to 255" in noted(decoded)
    inverted = dicom(values, RescaleSlope=-1, RescaleIntercept=0)
    np.testing.assert_array_equal(levels(inverted), 255 - RAMP)
    assert (levels(dicom(np.full((16, 16), 7, np.uint16))) == 0).all()


def test_all_of_16_signed_bits():
    values = np.zeros((16, 16), np.int16)
    values[0, :4] = [-32768, -1, 0, 32767]
    # The window LINEAR_EXACT spreads all of them.
    file = dicom(values, WindowCenter=0, WindowWidth=65536, VOILUTFunction="LINEAR_EXACT")
    assert levels(file)[0, :4].tolist() == [0, 127, 128, 255]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_tables(syntax):
    values = (RAMP % 4 + 10).astype(np.uint16)
    modality, voi = Dataset(), Dataset()
    modality.LUTDescriptor, modality.LUTData = [4, 10, 16], [0, 100, 200, 300]
    voi.LUTDescriptor, voi.LUTData = [301, 0, 12], [min(13 * i, 4095) for i in range(301)]
    for table in (modality, voi):
        table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    modality.ModalityLUTType = "US"
    file = dicom(values, syntax=syntax, ModalityLUTSequence=[modality], VOILUTSequence=[voi])
    # 0, 100, 200, 300 become 0, 1300, 2600, 3900 of 4095.
    assert levels(file)[0, :4].tolist() == [0, 81, 162, 243]


def test_padding_is_black_and_sets_no_range():
    values = RAMP.astype(np.int16)
    values[0] = -2000
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        file = dicom(values, photometric, PixelPaddingValue=-2000)
        found = levels(file)
        assert (found[0] == 0).all()
        assert {found[1, 0], found[-1, -1]} == {0, 255}
    without = levels(dicom(values))
    assert without[1, 0] > 200
    everything = dicom(np.full((16, 16), 3, np.uint16), PixelPaddingValue=3)
    with pytest.raises(DecodeError, match="nothing but padding"):
        shown(everything)


@pytest.mark.parametrize("filled", ["copies of the sign", "zeros"])
def test_bits_that_are_not_used_hold_copies_of_the_sign_or_nothing(filled):
    values = RAMP.astype(np.int16) * 8 - 1024
    stored = values if filled == "copies of the sign" else values & 0xFFF
    window = {"WindowCenter": 0, "WindowWidth": 2048}
    file = dicom(stored.astype(np.int16), BitsStored=12, HighBit=11, **window)
    np.testing.assert_array_equal(levels(file), linear(values, 0, 2048))


def test_an_overlay_in_bits_that_are_not_used_is_not_shown():
    file = dicom(RAMP | (RAMP % 2) << 12, BitsStored=12, HighBit=11)
    file.add_new((0x6000, 0x0102), "US", 12)
    np.testing.assert_array_equal(levels(file), RAMP)


def test_padding_may_be_beyond_the_bits_in_use():
    values = RAMP.copy()
    values[0] = 0xF000
    found = levels(dicom(values, BitsStored=12, HighBit=11, PixelPaddingValue=0xF000))
    assert (found[0] == 0).all()
    assert (found[1, 0], found[-1, -1]) == (0, 255)


# Frames


def test_the_middle_frame():
    frames = np.stack([np.full((16, 16), 50 * i, np.uint8) for i in range(5)])
    decoded = shown(dicom(frames))
    assert (decoded.pixels == 100).all()
    assert "5 frames, of which number 3" in noted(decoded)
    compressed = dicom(frames)
    compressed.compress(RLELossless, generate_instance_uid=False)
    assert (shown(compressed).pixels == 100).all()


@pytest.mark.parametrize("center", [128, 0])
def test_a_frame_of_an_enhanced_file_has_its_own_window(center):
    frames = np.stack([RAMP, RAMP, RAMP])
    windows = []
    for each in (1, center, 9999):
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = each, 101
        group.FrameVOILUTSequence = [window]
        windows.append(group)
    slope, shared = Dataset(), Dataset()
    slope.RescaleSlope, slope.RescaleIntercept = 2, -100
    shared.PixelValueTransformationSequence = [slope]
    file = dicom(
        frames,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=windows,
    )
    np.testing.assert_array_equal(levels(file), linear(RAMP * 2.0 - 100, center, 101))


# What is refused


def without_pixels():
    file = dicom(RAMP)
    del file.PixelData
    return file


def pdf():
    file = without_pixels()
    file.SOPClassUID = EncapsulatedPDFStorage
    file.EncapsulatedDocument = b"%PDF-1.7"
    return file


def with_stream_of(rows, columns):
    """A JPEG 2000 file whose stream declares another size than its header."""
    file = dicom(LARGE)
    file.compress(JPEG2000Lossless, generate_instance_uid=False)
    start = file.PixelData.index(b"\xff\x4f\xff\x51") + 8
    size = struct.pack(">2I", columns, rows)
    file.PixelData = file.PixelData[:start] + size + file.PixelData[start + 8 :]
    return file


def with_an_endless_stream():
    """A JP2 file with a box of no length, in which a reader of boxes would stay."""
    file = dicom(RAMP)
    file.file_meta.TransferSyntaxUID = JPEG2000Lossless
    file.PixelData = encapsulate([b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100)])
    return file


def truncated():
    return dicom(RAMP, PixelData=RAMP.tobytes()[:-100])


def video():
    file = dicom(RAMP.astype(np.uint8))
    file.file_meta.TransferSyntaxUID = MPEG2MPML
    file.PixelData = encapsulate([bytes(100)])
    return file


def rescaled(slope, intercept=0):
    return lambda: unchecked(RescaleSlope=slope, RescaleIntercept=intercept)


def windowed(center, width, **more):
    return lambda: unchecked(WindowCenter=center, WindowWidth=width, **more)


def unchecked(**elements):
    """With values that pydicom warns of."""
    with disable_value_validation():
        return dicom(RAMP, **elements)


def beyond_its_bits():
    """12-bit values where the header says 8."""
    return dicom(RAMP * 16, BitsStored=8, HighBit=7)


def beyond_its_signed_bits():
    return dicom(RAMP.astype(np.int16) - 1000, BitsStored=8, HighBit=7)


def in_the_upper_bits():
    """12-bit values shifted to the left, which pydicom does not undo."""
    return dicom(RAMP * 256, BitsStored=12, HighBit=15)


REFUSED = {
    "a slope of 0": (rescaled(0), "rescale slope of 0"),
    "a slope of NaN": (rescaled("nan"), "rescale slope or intercept that is not a finite"),
    "an infinite slope": (rescaled("inf"), "rescale slope or intercept that is not a finite"),
    "an intercept of NaN": (rescaled(1, "nan"), "rescale slope or intercept that is not a finite"),
    "a slope too large": (rescaled("1e307", 0), "rescaled to values that are not finite"),
    "a center of NaN": (windowed("nan", 100), "window that is not a finite"),
    "a width of NaN": (windowed(100, "nan"), "window that is not a finite"),
    "an infinite width": (windowed(100, "inf"), "window that is not a finite"),
    "a width of 0": (windowed(100, 0), "window of no width"),
    "a negative width": (windowed(100, -4, VOILUTFunction="SIGMOID"), "window of no width"),
    "values beyond their bits": (beyond_its_bits, "more than the 8 bits of its BitsStored"),
    "signed values beyond": (beyond_its_signed_bits, "more than the 8 bits of its BitsStored"),
    "values in the upper bits": (in_the_upper_bits, "more than the 12 bits of its BitsStored"),
    "no pixels": (without_pixels, "CT Image Storage"),
    "a document": (pdf, "Encapsulated PDF Storage"),
    "video": (video, "MPEG2 Main Profile .*which is not read"),
    "too small": (lambda: dicom(RAMP[:4]), "only 16 x 4 pixels"),
    "truncated": (truncated, "cannot be decoded"),
    "a lie about its size": (lambda: dicom(RAMP, Rows=60000, Columns=60000), "more than 178"),
    "a stream beyond all size": (lambda: with_stream_of(60000, 60000), "more than 178"),
    "a stream without end": (with_an_endless_stream, "damaged JPEG 2000"),
    "an unknown kind of pixels": (lambda: dicom(RAMP, PhotometricInterpretation="CMYK"), "kind"),
    "a header of text": (lambda: dicom(RAMP, WindowCenter=1, NumberOfFrames=-3), "cannot be"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    make, reason = REFUSED[name]
    with pytest.raises(DecodeError, match=reason) as raised:
        shown(make())
    for private in ("Vogel", "Kunigunde", "KV77", "19310405"):
        assert private not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_deflated_bomb():
    file = dicom(RAMP, syntax=DeflatedExplicitVRLittleEndian)
    content = written(file)
    start = 144 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(80)) + packer.flush()
    with pytest.raises(DecodeError, match="would inflate"):
        decode(content[:start] + bomb, GRAY)


@pytest.mark.parametrize("package", ["pydicom", "pylibjpeg"])
def test_what_to_install(monkeypatch, package):
    content = written(dicom(RAMP))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(VitrialError, match=r"pip install 'vitrial\[dicom\]'") as raised:
        decode(content, GRAY)
    # It is no fault of the file: it must not be left out, nor remembered.
    assert not isinstance(raised.value, DecodeError)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused(data):
    content = bytearray(DAMAGED)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(len(content) // 2, len(content))) :]
    with suppress(DecodeError):
        assert decode(bytes(content), GRAY).pixels.shape == (16, 16, 1)


DAMAGED = written(
    dicom(RAMP, WindowCenter=100, WindowWidth=200, RescaleSlope=1, RescaleIntercept=0)
)


def bundled_files():
    files = [path for path in sorted(BUNDLED.rglob("*")) if path.is_file()]
    return [path for path in files if is_dicom(path.read_bytes())]


def test_the_files_of_pydicom_are_read_or_refused(caplog):
    read, refused = [], []
    for path in bundled_files():
        try:
            decode(path.read_bytes(), Image(resize=16))
            read.append(path.name)
        except DecodeError:
            refused.append(path.name)
    assert len(read) >= 90
    assert {"JPGExtended.dcm", "image_dfl.dcm", "examples_palette.dcm"} <= set(read)
    assert {"rtplan.dcm", "reportsi.dcm", "DICOMDIR", "MR_truncated.dcm"} <= set(refused)
    # What pydicom has to say of them quotes their headers.
    assert [record for record in caplog.records if record.name.startswith("pydicom")] == []


def test_silence_holds_for_threads_and_ends():
    noisy = (BUNDLED / "test_files/JPEG-lossy.dcm").read_bytes()

    def attempt(_):
        with pytest.raises(DecodeError, match="cannot be decoded"):
            decode(noisy, GRAY)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attempt, range(16)))
    assert logging.getLogger("pydicom").propagate
