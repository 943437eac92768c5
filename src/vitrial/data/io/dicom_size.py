"""DICOM files that would fill the memory: what they declare is measured before it is unpacked."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from PIL import Image as Pillow
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import DeflatedExplicitVRLittleEndian

from vitrial.data.io.decoded import DecodeError
from vitrial.data.io.files import BOMB_RATIO, BOMB_SIZE, LARGEST

PREAMBLE = 132
START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG and JPEG-LS that a size follows."""
J2K_START = b"\xff\x4f\xff\x51"
JP2_START = b"\0\0\0\x0cjP  "


def refuse_inflated(file: BinaryIO) -> None:
    """Refuse a deflated file that would inflate beyond what an image needs.

    Args:
        file: Open at its start, where it is left again.

    Raises:
        DecodeError: It holds more than 1 GiB, or more than 64 MiB that shrank over 200 times.
    """
    packed = b""
    if file.read(PREAMBLE).endswith(b"DICM"):
        meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            packed = file.read()
    file.seek(0)
    inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    allowed = min(LARGEST, max(BOMB_SIZE, BOMB_RATIO * len(packed)))
    while packed and not inflate.eof:
        size += len(inflate.decompress(packed, 2**20))
        packed = inflate.unconsumed_tail
        if size > allowed:
            raise DecodeError(f"would inflate to more than {allowed:,} bytes", "export it again")


def refuse_large(file: Dataset, frames: int, index: int, compressed: bool) -> None:
    """Refuse a frame that is larger than Pillow allows: as the header says, or its own stream.

    Args:
        file: With pixels.
        frames: How many there are.
        index: Which one is to be decoded.
        compressed: Whether its pixels are compressed.

    Raises:
        DecodeError: It has too many pixels.
    """
    pixels = int(file.Rows) * int(file.Columns)
    if compressed:
        offsets = as_pixel_options(file).get("extended_offsets")
        frame = get_frame(file.PixelData, index, number_of_frames=frames, extended_offsets=offsets)
        pixels = max(pixels, stream_samples(frame) // int(file.SamplesPerPixel))
    most = 2 * (Pillow.MAX_IMAGE_PIXELS or 0)
    if most and pixels > most:
        raise DecodeError(f"has more than {most:,} pixels", "make it smaller")


def stream_samples(stream: bytes) -> int:
    """Rows x columns x components that a JPEG, JPEG-LS or JPEG 2000 stream declares; 0 if none.

    Sources: ITU-T T.81, B.2.2, and ITU-T T.800, A.5.1.
    """
    start = _past_boxes(stream)
    if stream[start : start + 4] == J2K_START:
        right, bottom, left, top = struct.unpack_from(">4I", stream, start + 8)
        (components,) = struct.unpack_from(">H", stream, start + 40)
        return int((right - left) * (bottom - top) * components)
    at = 2
    while at + 10 <= len(stream) and stream[at] == 0xFF:
        if stream[at + 1] in START_OF_FRAME:
            rows, columns, components = struct.unpack_from(">HHB", stream, at + 5)
            return int(rows * columns * components)
        (length,) = struct.unpack_from(">H", stream, at + 2)
        at += 2 + length
    return 0


def _past_boxes(stream: bytes) -> int:
    """Where JPEG 2000's stream begins: in a JP2 file after boxes, each with its length."""
    if not stream.startswith(JP2_START):
        return 0
    at = 12
    while stream[at + 4 : at + 8] != b"jp2c":
        length = int.from_bytes(stream[at : at + 4], "big")
        if length < 8:  # pydicom would stay at this box for ever
            raise DecodeError("has a damaged JPEG 2000 stream", "export or download it again")
        at += length
    return at + 8
