"""TIFF files of 16 bits a channel, in the forms that other programs write."""

import struct

import numpy as np
import pytest

from vitrial.data.io.decode import decode
from vitrial.data.io.decoded import DecodeError
from vitrial.protocol import Image

RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
COLORS = np.random.default_rng(0).integers(0, 65536, (16, 16, 3), dtype=np.uint16)


def tiff(pixels, photometric, order="<", planes=1):
    """A TIFF 6.0 file of one strip, or one a plane."""
    side, colors = 16, 3 if pixels.ndim == 3 else 1
    data = pixels.transpose(2, 0, 1) if planes == 2 else pixels
    data = data.astype(f"{order}u2").tobytes()
    strips = colors if planes == 2 else 1
    tags = {
        256: [side],
        257: [side],
        258: [16] * colors,
        259: [1],
        262: [photometric],
        273: [1000 + i * len(data) // strips for i in range(strips)],
        277: [colors],
        278: [side],
        279: [len(data) // strips] * strips,
        284: [planes],
    }
    entries, more = b"", b""
    for tag, values in tags.items():
        value = struct.pack(f"{order}{len(values)}H", *values)
        if len(value) > 4:
            more += value
            value = struct.pack(f"{order}I", 500 + len(more) - len(value))
        entries += struct.pack(f"{order}HHI4s", tag, 3, len(values), value)
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    start += struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return start.ljust(500, b"\0") + more.ljust(500, b"\0") + data


@pytest.mark.parametrize("order", ["<", ">"])
def test_gray(order):
    decoded = decode(tiff(RAMP, 1, order), Image(resize=16, channels=1))
    np.testing.assert_array_equal(decoded.pixels[..., 0], RAMP // 257)


def test_gray_stored_as_a_negative():
    decoded = decode(tiff(RAMP, 0), Image(resize=16, channels=1))
    np.testing.assert_array_equal(decoded.pixels[..., 0], 255 - RAMP // 257)
    assert "negative" in str(decoded.notes)


@pytest.mark.parametrize("order", ["<", ">"])
def test_colors(order):
    decoded = decode(tiff(COLORS, 2, order), Image(resize=16))
    np.testing.assert_array_equal(decoded.pixels, COLORS >> 8)
    assert "upper 8 bits" in str(decoded.notes)


def test_colors_in_separate_planes():
    with pytest.raises(DecodeError, match="separate planes"):
        decode(tiff(COLORS, 2, planes=2), Image(resize=16))
