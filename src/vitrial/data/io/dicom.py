"""DICOM pixels as a radiologist sees them: DICOM PS3.3, C.7.6.3, C.11.1 and C.11.2.

pydicom reads the file and applies its tables and windows; here is what of it is applied, and in
which order. Nothing that a header says is quoted to the user, except how its pixels are coded.
"""

from __future__ import annotations

import io
import math

import numpy as np
import pydicom
from PIL import Image as Pillow
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi,
    apply_windowing,
)
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from vitrial.data.io.decoded import FEW_LEVELS, Decoded, DecodeError, Note, check_size, to_square
from vitrial.data.io.dicom_size import refuse_inflated, refuse_large
from vitrial.data.io.quiet import quiet
from vitrial.errors import VitrialError
from vitrial.protocol import Image

GRAYS = ("MONOCHROME1", "MONOCHROME2")
COLORS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "PALETTE COLOR")
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
AGAIN = "export or download it again"
RESCALE = "correct its RescaleSlope and RescaleIntercept, or remove both"
WINDOW = "correct its WindowCenter and WindowWidth, or remove both"


def decode_dicom(content: bytes, image: Image) -> Decoded:
    """Decode a DICOM file; safe to call from several threads.

    Of gray values the modality's table or slope and intercept are applied, then the first table or
    window of the values of interest (LINEAR, LINEAR_EXACT or SIGMOID). Without either, up to 8
    bits stay as they are, and of more the values that the file holds are spread from black to
    white, since many files use a part of their bits only. Padding does not count and becomes
    black; MONOCHROME1 is inverted. Colors become RGB. Of several frames the middle one is used.

    Args:
        content: The file, with or without preamble, in any transfer syntax but video.
        image: Side, channels and trim.

    Raises:
        DecodeError: The file holds no image, is damaged, too small or too large, or coded in a way
            that is not read.
        VitrialError: The decoder that it needs is not installed.
    """
    with quiet(), np.errstate(all="ignore"):
        try:
            return _decode(content, image)
        except (VitrialError, MemoryError):
            raise
        except Exception as error:
            # pydicom's sentences may quote the header: its kind of error has to do.
            what = f"is a DICOM file that cannot be decoded ({type(error).__name__})"
            raise DecodeError(what, AGAIN) from None


def _decode(content: bytes, image: Image) -> Decoded:
    start = io.BytesIO(content)
    refuse_inflated(start)
    file = pydicom.dcmread(start, force=True)
    _check_for_image(file)
    notes: list[Note] = []
    decoder = _decoder(file, notes)
    height, width = int(file.Rows), int(file.Columns)
    photometric = str(file.get("PhotometricInterpretation", "")).strip().upper()
    if photometric not in GRAYS + COLORS:
        raise DecodeError("has pixels of a kind that is not read", "export it in gray or RGB")
    check_size(width, height)
    frames = int(file.get("NumberOfFrames") or 1)
    index = frames // 2
    if frames > 1:
        notes.append(
            (f"has {frames} frames, of which number {index + 1} is used", "export the one wanted")
        )
    refuse_large(file, frames, index, decoder.is_encapsulated)
    # pylibjpeg-rle is faster, and panics past every `except` where a file is damaged.
    plugin = {RLELossless: "pydicom"}.get(decoder.UID, "")
    pixels, shown = decoder.as_array(
        file,
        index=index,
        decoding_plugin=plugin,
        correct_unused_bits=False,  # type: ignore[arg-type]  # pydicom means Unpack[DecodeOptions]
    )
    bits = int(file.get("BitsStored", 8 * pixels.itemsize))
    pixels = _without_unused_bits(pixels, file, bits)
    if photometric in GRAYS:
        _apply_functional_groups(file, index)
        picture = Pillow.fromarray(_gray(pixels, file, bits, notes))
    else:
        if photometric == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, file)[..., :3]
            bits = 8 * pixels.itemsize
        elif shown["photometric_interpretation"] != "RGB":
            raise DecodeError(f"has colors as {photometric}, out of place there", "export as RGB")
        picture = Pillow.fromarray(_eight_bits(pixels, bits, notes))
    square, more_notes = to_square(picture, image)
    mode = f"DICOM {photometric} {bits} bit"
    return Decoded(square, width, height, mode, notes + more_notes)


def _check_for_image(file: pydicom.FileDataset) -> None:
    """Refuse what holds no image, naming the kind of object that it is."""
    if any(keyword in file for keyword in PIXELS) and "Rows" in file and "Columns" in file:
        return
    meta = file.file_meta.get("MediaStorageSOPClassUID")
    kind = UID(str(file.get("SOPClassUID") or meta or ""))
    what = f"({kind.name})" if kind.name != kind else "of an unknown kind"
    raise DecodeError(f"is a DICOM file {what} without an image", "remove it from the data set")


def _decoder(file: pydicom.FileDataset, notes: list[Note]) -> Decoder:
    """What decodes the file's pixels, as its transfer syntax says."""
    syntax = file.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        implicit, little = file.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        syntax = syntax if little else ExplicitVRBigEndian
        file.file_meta.TransferSyntaxUID = syntax
        notes.append((f"does not say how it is coded; {syntax.name} is assumed", AGAIN))
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        name = syntax.name if syntax.name != syntax else "an unknown transfer syntax"
        fix = "export it uncompressed, or as JPEG, JPEG-LS, JPEG 2000 or RLE"
        raise DecodeError(f"is coded in {name}, which is not read", fix) from None
    if not decoder.is_available:
        raise VitrialError(f"Reading {syntax.name} files needs: pip install 'vitrial[dicom]'")
    return decoder


def _without_unused_bits(pixels: np.ndarray, file: Dataset, bits: int) -> np.ndarray:
    """Stored values without the bits beyond BitsStored, in which there must be no value.

    There may be copies of the sign, or an overlay, as the standard had it until 2004.
    """
    unused = 8 * pixels.itemsize - bits
    if pixels.dtype.kind not in "iu" or unused <= 0:
        return pixels
    padding = _padding(pixels, file)
    padded = np.zeros_like(pixels, bool) if padding is None else padding
    overlay = _has_overlay(file)
    if not overlay and not padded.all():
        low, high = pixels.min(where=~padded, initial=0), pixels.max(where=~padded, initial=0)
        least = -(2 ** (bits - 1)) if pixels.dtype.kind == "i" else 0
        if low < least or high >= 2**bits:
            what = f"has values that need more than the {bits} bits of its BitsStored"
            raise DecodeError(what, "correct its BitsStored and HighBit, or export it again")
    return np.where(padded, pixels, pixels << unused >> unused)


def _has_overlay(file: Dataset) -> bool:
    """Whether an overlay lies in bits of the pixels (C.9.2): at bit 0 it has data of its own."""
    places = (file.get((group, 0x0102)) for group in range(0x6000, 0x6020, 2))
    return any(place is not None and place.value for place in places)


def _apply_functional_groups(file: Dataset, index: int) -> None:
    """Bring a frame's slope and window to where files of one frame have them (C.7.6.16)."""
    shared, own = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
    for groups, place in ((shared, 0), (own, index)):
        for group in list(file.get(groups) or [])[place : place + 1]:
            for module in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                for item in group.get(module) or []:
                    file.update(item)


def _gray(stored: np.ndarray, file: Dataset, bits: int, notes: list[Note]) -> np.ndarray:
    """Stored values as float32 from 0 (black) to 255 (white), not rounded."""
    if not np.isfinite(stored).all():
        raise DecodeError("has values that are not finite numbers", "replace these values")
    padding = _padding(stored, file)
    kept = stored if padding is None else stored[~padding]
    if not kept.size:
        raise DecodeError("is nothing but padding", AGAIN)
    low, high = kept.min().item(), kept.max().item()
    # Each value is shown once, and looked up for every pixel that has it.
    if kept.dtype.kind in "iu" and high - low < 2**16:
        values = np.arange(low, high + 1)
        # Wider integers than the stored ones would take twice the time.
        offset = np.clip(stored, low, high) - np.array(low, stored.dtype)
        index = offset.view(f"u{stored.itemsize}")  # what wraps around in int16 does not in uint16
    else:
        values = np.unique(kept)
        index = np.searchsorted(values, np.clip(stored, low, high))
    shades = _shades(values, file, bits, notes)
    if file.PhotometricInterpretation.strip().upper() == "MONOCHROME1":
        shades = 255 - shades
    levels: np.ndarray = shades.astype(np.float32)[index]
    if padding is not None:
        levels[padding] = 0
    return levels


def _padding(stored: np.ndarray, file: Dataset) -> np.ndarray | None:
    """Where a gray image is padding (C.7.5.1.1.2), if it says so."""
    bounds = [file.get("PixelPaddingValue"), file.get("PixelPaddingRangeLimit")]
    given = [int(bound) for bound in bounds if bound is not None]
    if bounds[0] is None or stored.dtype.kind not in "iu":
        return None
    # Some writers give the padding of signed pixels as unsigned: -2000 as 63536.
    low, *_, high = sorted(np.array(given).astype(stored.dtype).tolist() * 2)
    return np.asarray((stored >= low) & (stored <= high))


def _shades(values: np.ndarray, file: Dataset, bits: int, notes: list[Note]) -> np.ndarray:
    """The gray, from 0 to 255, of each of a file's values; ascending values are expected."""
    _check_rescale(file)
    modal = apply_modality_lut(values, file).astype(np.float64)
    if not np.isfinite(modal).all():
        raise DecodeError("is rescaled to values that are not finite numbers", RESCALE)
    if file.get("VOILUTSequence"):
        shades = _looked_up(modal, file)
    elif file.get("WindowCenter") is not None and file.get("WindowWidth") is not None:
        shades = _windowed(modal, file)
    else:
        return _without_window(values, modal, file, bits, notes)
    if bits > 8 and np.ptp(shades) < FEW_LEVELS:
        what = f"spans {np.ptp(shades) + 1:.0f} of 256 gray levels in the window that it names"
        notes.append((what, WINDOW))
    return shades


def _check_rescale(file: Dataset) -> None:
    """Refuse a slope or intercept that leaves no image; either without the other is not used."""
    if file.get("ModalityLUTSequence"):
        return
    slope, intercept = file.get("RescaleSlope"), file.get("RescaleIntercept")
    if slope is None or intercept is None:
        file.pop("RescaleSlope", None)
    elif not math.isfinite(slope) or not math.isfinite(intercept):
        raise DecodeError("has a rescale slope or intercept that is not a finite number", RESCALE)
    elif slope == 0:
        raise DecodeError("has a rescale slope of 0, which makes all values the same", RESCALE)


def _looked_up(modal: np.ndarray, file: Dataset) -> np.ndarray:
    """Values through the table of the values of interest (C.11.2.1.1)."""
    entries, first, depth = file.VOILUTSequence[0].LUTDescriptor
    whole = np.rint(modal).clip(first, first + (entries or 2**16) - 1).astype(np.int64)
    return np.asarray(apply_voi(whole, file) / (2**depth - 1) * 255)


def _windowed(modal: np.ndarray, file: Dataset) -> np.ndarray:
    """Values through the first window (C.11.2.1.2)."""
    center, width = (
        float(np.atleast_1d(file[keyword].value)[0]) for keyword in ("WindowCenter", "WindowWidth")
    )
    function = str(file.get("VOILUTFunction") or "LINEAR").upper()
    if not math.isfinite(center) or not math.isfinite(width):
        raise DecodeError("has a window that is not a finite number", WINDOW)
    if width <= 0 or (width < 1 and function == "LINEAR"):
        raise DecodeError("has a window of no width", WINDOW)
    # Of unsigned 8-bit files pydicom's windows give 0 to 255.
    window = Dataset()
    window.PhotometricInterpretation, window.PixelRepresentation, window.BitsStored = GRAYS[1], 0, 8
    window.WindowCenter, window.WindowWidth, window.VOILUTFunction = center, width, function
    return apply_windowing(modal, window)


def _without_window(
    values: np.ndarray, modal: np.ndarray, file: Dataset, bits: int, notes: list[Note]
) -> np.ndarray:
    if bits <= 8 and values.dtype.kind in "iu":
        least = -(2 ** (bits - 1)) if file.get("PixelRepresentation") == 1 else 0
        bounds = apply_modality_lut(np.array([least, least + 2**bits - 1]), file)
    else:
        bounds = modal
        what = f"has no window; its values, {modal.min():g} to {modal.max():g}, became 0 to 255"
        notes.append((what, "give all files WindowCenter and WindowWidth if that is not wanted"))
    low, high = float(bounds.min()), float(bounds.max())
    return np.asarray((modal - low) / ((high - low) or 1) * 255)


def _eight_bits(colors: np.ndarray, bits: int, notes: list[Note]) -> np.ndarray:
    if bits <= 8:
        return colors.astype(np.uint8)
    notes.append((f"has {bits}-bit colors, which are rounded to 8 bits", "export it with 8 bits"))
    return np.asarray(np.rint(colors / (2**bits - 1) * 255), dtype=np.uint8)
