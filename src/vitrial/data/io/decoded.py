"""What decoding gives, whatever the format: a square of pixels with notes, or a `DecodeError`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image as Pillow

from vitrial.data.io.trim import organ_box
from vitrial.errors import VitrialError
from vitrial.protocol import Image

SMALLEST = 8
"""Shortest side in pixels that is taken for an image."""
FEW_LEVELS = 16
"""Fewer of the 256 gray levels than this: 12-bit values in the window of 16-bit ones have 16."""

Note = tuple[str, str]


class DecodeError(VitrialError):
    """An image that cannot be used: what is wrong with the file, and how to fix it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"The image {what}: {fix}.")
        self.what, self.fix = what, fix


@dataclass(frozen=True)
class Decoded:
    """A decoded image.

    Attributes:
        pixels: uint8 (resize, resize, channels), C-contiguous.
        width: In pixels, as the file says.
        height: Likewise.
        mode: Pillow's name for the file's kind of pixels, such as RGB or I;16; of DICOM files
            what their header says, such as DICOM MONOCHROME2 16 bit.
        notes: (what is unusual, what the user can do), for an image that is used all the same.
    """

    pixels: np.ndarray
    width: int
    height: int
    mode: str
    notes: list[Note] = field(default_factory=list)


def check_size(width: int, height: int) -> None:
    """Refuse an image that is too small.

    Raises:
        DecodeError: Its shorter side has fewer than 8 pixels.
    """
    if min(width, height) < SMALLEST:
        raise DecodeError(
            f"is only {width} x {height} pixels", f"use one of at least {SMALLEST} x {SMALLEST}"
        )


def to_square(picture: Pillow.Image, image: Image) -> tuple[np.ndarray, list[Note]]:
    """Trim a picture and resize it.

    Args:
        picture: 8 bits a channel in any mode, or mode F: gray from 0 to 255, not yet rounded.
        image: Side, channels and trim.

    Returns:
        uint8 (resize, resize, channels), C-contiguous; and what is worth knowing.
    """
    mode = "RGB" if image.channels == 3 else "L"
    if picture.mode not in ("F", mode):  # of its own mode, `convert` makes a copy
        picture = picture.convert(mode)
    notes = []
    if image.trim != "none":
        gray = picture if picture.mode == "F" else picture.convert("L")
        box = organ_box(np.asarray(gray), image.trim)
        if box is None:
            what = f"shows nothing that `image.trim: {image.trim}` could keep; all of it is used"
            notes.append((what, "look at it, and leave it out if it shows something else"))
        else:
            picture = picture.crop(box)
    side = (image.resize, image.resize)
    pixels = np.asarray(picture.resize(side, Pillow.Resampling.BILINEAR))
    if picture.mode == "F":
        pixels = np.rint(pixels).clip(0, 255)
    # A gray image is the same in every channel; a color image has them already.
    pixels = np.broadcast_to(pixels.reshape(*side, -1), (*side, image.channels))
    return np.array(pixels, dtype=np.uint8, order="C"), notes
