"""How images are divided, prepared and varied."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, Strict, field_validator

from vitrial.protocol.section import SMALLEST, Fraction, Positive, PositivePair, Section, Seed

Gray = Annotated[float, Field(ge=-65536, le=65536)]
"""A value of a 16-bit image, with or without sign."""


class Split(Section):
    """How images are divided: by the data's own column where there is one, else by fractions.

    Attributes:
        fractions: Shares of train, validation and test; they add up to 1.
        grouped: Keep all images of a group in one split. False reproduces a split by image, which
            leaks wherever a patient or lesion was photographed twice.
        stratify: Columns of the manifest, such as `sex`, whose shares are alike in all splits, as
            those of classes and of group sizes are in any case. A missing value counts as a level;
            numbers count in bands.
        labeled: Share of the training images whose labels are used, drawn by whole groups and
            anew for each repetition, alike for all arms; self-supervision sees all of them.
        seed: Another seed divides otherwise.
    """

    fractions: Annotated[tuple[Positive, Positive, Positive], Strict(False)] = (0.7, 0.15, 0.15)
    grouped: bool = True
    stratify: list[str] = Field(default_factory=list)
    labeled: float = Field(1.0, gt=0, le=1)
    seed: Seed = 0

    @field_validator("fractions")
    @classmethod
    def _add_up(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if not math.isclose(sum(fractions), 1, abs_tol=1e-6):
            raise ValueError(f"train, validation and test add up to {sum(fractions):g}, not 1")
        return fractions


class Image(Section):
    """How an image is prepared once, for the pixel cache.

    Attributes:
        resize: Side in pixels that every image is resized to (square, antialiased).
        channels: 3 (color) or 1 (grayscale).
        window: Darkest and brightest value of 16-bit images; values beyond are clipped.
        trim: Cut off what surrounds the organ before resizing: the black margin of a `fundus`
            image, the air beside the breast of a `mammogram`; `none` keeps all.
    """

    resize: int = Field(256, ge=16, le=2048)
    channels: Literal[1, 3] = 3
    window: Annotated[tuple[Gray, Gray], Strict(False)] = (0, 65535)
    trim: Literal["none", "fundus", "mammogram"] = "none"

    @field_validator("window")
    @classmethod
    def _ascending(cls, window: tuple[float, float]) -> tuple[float, float]:
        if window[0] >= window[1]:
            raise ValueError(f"the darkest value {window[0]:g} must lie below {window[1]:g}")
        return window


class Jitter(Section):
    """Color jitter as torchvision's ColorJitter, applied to an image with probability `p`."""

    brightness: Fraction = 0.2
    contrast: Fraction = 0.2
    saturation: Fraction = 0.1
    hue: float = Field(0.1, ge=0, le=0.5)
    p: Fraction = 0.8


class Augment(Section):
    """Random views of a training image; evaluation takes the central crop.

    Attributes:
        crop: Side in pixels of what the model sees.
        scale: Range of the crop's share of the image area, as in torchvision's RandomResizedCrop:
            draws that do not fit into the image are drawn again.
        ratio: Range of the crop's aspect ratio.
        jitter: Color jitter, null for none.
        hflip: Probability of a horizontal flip.
        vflip: Probability of a vertical flip.
    """

    crop: int = Field(224, ge=SMALLEST, le=2048)
    scale: PositivePair = (0.8, 1.2)
    ratio: PositivePair = (3 / 4, 4 / 3)
    jitter: Jitter | None = Jitter()
    hflip: Fraction = 0.5
    vflip: Fraction = 0.5

    @field_validator("scale", "ratio")
    @classmethod
    def _ascending(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] > bounds[1]:
            raise ValueError(f"the lower bound {bounds[0]:g} exceeds the upper {bounds[1]:g}")
        return bounds

    @field_validator("scale")
    @classmethod
    def _possible(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if scale[0] > 1:
            raise ValueError(f"no crop of {scale[0]:g} times the image's area fits into the image")
        return scale
