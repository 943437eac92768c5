"""What becomes of a picture's file before it comes back as a copy."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image

Alteration = Callable[[Image.Image], Image.Image]
SMALLEST = 8
BILINEAR = Image.Resampling.BILINEAR


def jpeg(quality: int) -> Alteration:
    """Compress."""

    def alter(picture: Image.Image) -> Image.Image:
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=quality)
        return Image.open(content)

    return alter


def levels(function: Callable[[float], float]) -> Alteration:
    """Change the gray levels, 0 to 255."""
    return lambda picture: picture.point(lambda value: min(255, max(0, round(function(value)))))


def cropped(share: float, x: float, y: float) -> Alteration:
    """Cut off a share of the sides and keep a corner, (x, y) = (0, 0), or the center, (.5, .5)."""

    def alter(picture: Image.Image) -> Image.Image:
        width, height = picture.width * (1 - share), picture.height * (1 - share)
        left, top = (picture.width - width) * x, (picture.height - height) * y
        size = (max(round(width), SMALLEST), max(round(height), SMALLEST))
        return picture.resize(size, BILINEAR, box=(left, top, left + width, top + height))

    return alter


def half_size(picture: Image.Image) -> Image.Image:
    """Half as wide and high."""
    size = (max(picture.width // 2, SMALLEST), max(picture.height // 2, SMALLEST))
    return picture.resize(size, Image.Resampling.BICUBIC)


def padded(picture: Image.Image) -> Image.Image:
    """On a black square; a square picture gets black at the left and the right."""
    side = max(picture.size)
    width = side if picture.width != picture.height else round(1.25 * side)
    square = Image.new(picture.mode, (width, side))
    square.paste(picture, ((width - picture.width) // 2, (side - picture.height) // 2))
    return square


def bordered(picture: Image.Image) -> Image.Image:
    """In a white border of 2 % of the width."""
    border = max(1, round(0.02 * picture.width))
    white = 255 if picture.mode == "L" else (255,) * 3
    framed = Image.new(
        picture.mode, (picture.width + 2 * border, picture.height + 2 * border), white
    )
    framed.paste(picture, (border, border))
    return framed


ALTERATIONS: dict[str, Alteration] = {
    "saved as JPEG 90": jpeg(90),
    "saved as JPEG 50": jpeg(50),
    "half size": half_size,
    "brighter by 30": levels(lambda value: value + 30),
    "paler": levels(lambda value: 0.7 * value + 20),
    "gamma 0.7": levels(lambda value: 255 * (value / 255) ** 0.7),
    "gamma 1.5": levels(lambda value: 255 * (value / 255) ** 1.5),
    "turned by 90 degrees": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
    "mirrored, JPEG 80": lambda picture: jpeg(80)(
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    ),
    "cropped to the center by 2 %": cropped(0.02, 0.5, 0.5),
    "cropped to the center by 5 %": cropped(0.05, 0.5, 0.5),
    "cropped to the center by 10 %": cropped(0.1, 0.5, 0.5),
    "cropped to a corner by 5 %": cropped(0.05, 0, 0),
    "cropped to a corner by 10 %": cropped(0.1, 0, 0),
    "padded to a square": padded,
    "white border of 2 %": bordered,
    "turned by 3 degrees": lambda picture: picture.rotate(3, BILINEAR),
}
