"""Decoding one image file: oriented, in the protocol's channels, resized, 8 bits a channel."""

from __future__ import annotations

import io
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from vitrial.data.io.decoded import FEW_LEVELS, Decoded, DecodeError, Note, check_size, to_square
from vitrial.data.io.quiet import quiet
from vitrial.errors import VitrialError
from vitrial.protocol import Image

DECODING = 3
"""Raised whenever a file gives other pixels than before: caches made earlier are not used."""
DRAFT = 2
"""A JPEG shrinks while it is decoded, to no less than so many times the target: pixels then differ
less than by another filter of resizing, and 1 would change more (benchmarks/decoding.py)."""
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".dcm", ".dicom"}
)
DICOM_DECODERS = (
    "pydicom",
    "pylibjpeg",
    "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "python-gdcm",
    "pyjpegls",
)
"""What pydicom decodes with, if it is there."""
# Tags of EXIF and TIFF, with the values of theirs that matter here.
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 258
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
PLANES, SEPARATE = 284, 2


def decode(content: bytes, image: Image) -> Decoded:
    """Decode an image file; safe to call from several threads.

    The image is turned as its EXIF orientation says, and resized to a square with an antialiased
    bilinear filter. Values of more than 8 bits are spread over `image.window` before they are
    resized and rounded; those of DICOM files are shown as their header says (see
    `vitrial.data.io.dicom`). Transparent parts become black.

    Args:
        content: A JPEG, PNG, BMP, TIFF, WebP or GIF file, of whose frames the first counts; or a
            DICOM file.
        image: Side, channels, window and trim.

    Raises:
        DecodeError: The file is not an image, is damaged, too small or too large.
        VitrialError: It is a DICOM file, and what reads these is not installed.
    """
    if not content:
        raise DecodeError("is an empty file of 0 bytes", "copy or download it again")
    if is_dicom(content):
        require_dicom()
        from vitrial.data.io.dicom import decode_dicom

        return decode_dicom(content, image)
    with quiet():
        try:
            with Pillow.open(io.BytesIO(content), formats=FORMATS) as picture:
                return _decode(picture, content, image)
        except (DecodeError, MemoryError):
            raise
        except UnidentifiedImageError as error:
            raise DecodeError(_what_else(content), "replace it by a JPEG, PNG or TIFF") from error
        except Pillow.DecompressionBombError as error:
            raise DecodeError(
                f"has more than {2 * (Pillow.MAX_IMAGE_PIXELS or 0):,} pixels", "make it smaller"
            ) from error
        except Exception as error:  # a damaged file can make Pillow raise almost anything
            raise DecodeError(
                f"is damaged ({error})", "copy or download it again, or save it again"
            ) from error


def is_dicom(start: bytes) -> bool:
    """Whether a file of which these are the first 132 bytes or more is a DICOM file.

    Some lack the preamble and begin with their first element: of group 2 or 8, in which no format
    of pictures begins.
    """
    groups = (b"\x02\0", b"\x08\0", b"\0\x08")  # the last in big endian
    return start[128:132] == b"DICM" or (len(start) >= 132 and start[:2] in groups)


def require_dicom() -> None:
    """Refuse DICOM files where what reads them is not installed.

    Raises:
        VitrialError: Says what to install.
    """
    if find_spec("pydicom") is None or find_spec("pylibjpeg") is None:
        raise VitrialError("Reading DICOM files needs: pip install 'vitrial[dicom]'")


def dicom_decoders() -> dict[str, str]:
    """The versions of what decides the pixels of DICOM files, of those that are installed."""
    found = {}
    for name in DICOM_DECODERS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _decode(picture: Pillow.Image, content: bytes, image: Image) -> Decoded:
    width, height = picture.size
    check_size(width, height)
    if picture.format == "PNG":
        # Loading ignores the checksums of the pixels.
        Pillow.open(io.BytesIO(content), formats=("PNG",)).verify()
    mode = picture.mode
    if _bits(picture, content) == 16 and picture.getexif().get(PLANES) == SEPARATE:
        # Pillow reads these, and mixes them up.
        what = "is a TIFF of 16-bit colors in separate planes"
        raise DecodeError(what, "save it with interleaved colors, or with 8 bits")
    notes = _notes(picture, content)
    if image.trim == "none":
        # Of what is trimmed, too little might be left.
        picture.draft(None, (DRAFT * image.resize, DRAFT * image.resize))
    picture.load()
    upright = ImageOps.exif_transpose(picture) if _orientation(picture) != 1 else picture
    if mode in ("I", "F") or mode.startswith("I;16"):
        upright, more_notes = _windowed(upright, image, _is_negative(picture))
        notes += more_notes
    pixels, more_notes = to_square(_without_transparency(upright), image)
    return Decoded(pixels, width, height, mode, notes + more_notes)


def _windowed(
    picture: Pillow.Image, image: Image, negative: bool
) -> tuple[Pillow.Image, list[Note]]:
    """A 16-bit, 32-bit or float picture in mode F from 0 to 255, and what is odd about it."""
    values = np.asarray(picture)
    bounds = np.array([values.min(), values.max()], np.float32)
    if not np.isfinite(bounds).all():
        raise DecodeError("has values that are not finite numbers", "replace these values")
    low, high = image.window
    what = f"has more than 8 bits; {low:g} to {high:g} became 0 to 255"
    spanned = np.ptp(_levels(bounds, image.window))
    if spanned < FEW_LEVELS:
        what = (
            f"spans {spanned + 1:.0f} of 256 gray levels with the window "
            f"{low:g} to {high:g}: its values go from {bounds[0]:g} to {bounds[1]:g}"
        )
    notes = [(what, "set `image.window` to the range of the data set's values")]
    levels = _levels(values, image.window)
    if negative:
        levels = 255 - levels
        notes.append(("is stored as a negative, and is turned into a positive", "nothing"))
    return Pillow.fromarray(levels), notes


def _levels(values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Values in a window as float32 from 0 to 255."""
    low, high = window
    levels = values.astype(np.float32)
    # In place: fresh memory for every step would take longer than the arithmetic.
    levels -= low
    levels /= high - low
    np.clip(levels, 0, 1, out=levels)
    levels *= 255
    return levels


def _is_negative(picture: Pillow.Image) -> bool:
    """Whether a TIFF of more than 8 bits has white as 0: Pillow heeds that only up to 8 bits."""
    return picture.format == "TIFF" and picture.getexif().get(PHOTOMETRIC) == WHITE_IS_ZERO


def _without_transparency(picture: Pillow.Image) -> Pillow.Image:
    if not picture.has_transparency_data:
        return picture
    black = Pillow.new("RGBA", picture.size, (0, 0, 0, 255))
    return Pillow.alpha_composite(black, picture.convert("RGBA"))


def _notes(picture: Pillow.Image, content: bytes) -> list[Note]:
    """What is unusual about a picture that is used all the same."""
    as_rgb = "save it as RGB or grayscale if that is not wanted"
    notes = []
    if picture.mode == "CMYK":
        notes.append(("is in CMYK; its colors as RGB are approximate", as_rgb))
    if picture.mode in ("P", "PA"):
        notes.append(("has a color palette; it is used in full color", as_rgb))
    if picture.has_transparency_data:
        notes.append(("has an alpha channel; transparent parts become black", as_rgb))
    if _orientation(picture) != 1:
        notes.append(
            ("is turned as its EXIF orientation says", "save it upright if that is not wanted")
        )
    if picture.mode in ("RGB", "RGBA", "LA") and _bits(picture, content) == 16:
        notes.append(
            ("has 16-bit colors, of which the upper 8 bits are used", "save it with 8 bits")
        )
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
        notes.append(("has several frames, of which the first is used", "save the one wanted"))
    return notes


def _bits(picture: Pillow.Image, content: bytes) -> int:
    """Bits a sample, where the file format says so plainly; else 8."""
    if picture.format == "PNG":
        return content[24]  # its place in the header, which comes first
    if picture.format == "TIFF":
        bits = picture.getexif().get(BITS_PER_SAMPLE, 8)
        return int(bits[0] if isinstance(bits, tuple) else bits)
    return 8


def _orientation(picture: Pillow.Image) -> int:
    try:
        orientation = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1
    return orientation if orientation in range(1, 9) else 1


def _what_else(content: bytes) -> str:
    """What a file is that no image format recognizes."""
    start = content[:1024]
    if b"\0" not in start and start.isascii():
        return "is not an image but text"
    return "is not an image, or its beginning is damaged"
