"""Drawing: coordinates, poses, smooth random fields, soft discs and curves.

Coordinates run from -1 to 1 over the image, x to the right and y down, so that a picture is the
same at every size. A subject has coordinates of its own; a `Frame` says how it lies in the image.
While it is painted a color image is float32 (3, size, size), about 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

BLOCK = 5000
"""Pixels of one matrix product."""
OVERSAMPLING = 4
"""Discs and curves are drawn so many times larger, then averaged down."""


@dataclass(frozen=True)
class Curve:
    """A polyline: (n, 2) points (x, y) and its width, in the subject's coordinates."""

    points: np.ndarray
    width: float


@dataclass(frozen=True)
class Frame:
    """An image's pixels, and how the subject lies in it: mirrored, turned, enlarged, shifted.

    Attributes:
        size: Side of the image in pixels.
        angle: Turn in radians.
        zoom: Enlargement.
        shift: Where the subject's origin lies in the image.
        mirror: The subject is mirrored, left to right, before it is turned.
    """

    size: int
    angle: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    mirror: bool = False

    @cached_property
    def axes(self) -> np.ndarray:
        """(2, 2) matrix from the subject's coordinates to the image's, before the shift."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        flip = -1.0 if self.mirror else 1.0
        return self.zoom * np.array([[flip * cos, -sin], [flip * sin, cos]])

    @cached_property
    def x(self) -> np.ndarray:
        """The subject's x at each pixel center: (size, size) float32."""
        return self.project(1, 0)

    @cached_property
    def y(self) -> np.ndarray:
        """The subject's y at each pixel center: (size, size) float32."""
        return self.project(0, 1)

    def project(self, along_x: float, along_y: float) -> np.ndarray:
        """along_x * x + along_y * y at each pixel center: (size, size) float32."""
        columns, rows = self.split(np.array([[along_x, along_y]]))
        position: np.ndarray = columns + rows.T
        return position

    def split(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parts, by pixel column and by row, whose sum is the position along each direction.

        Args:
            directions: (n, 2) vectors in the subject's coordinates.

        Returns:
            Two arrays (n, size) float32.
        """
        across, down = (directions @ self._inverse).astype(np.float32).T
        centers = (np.arange(self.size, dtype=np.float32) + 0.5) * (2 / self.size) - 1
        columns = across[:, None] * (centers - self.shift[0])
        rows = down[:, None] * (centers - self.shift[1])
        return columns, rows

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.linalg.inv(self.axes)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Image coordinates of (n, 2) points given in the subject's coordinates."""
        placed: np.ndarray = points @ self.axes.T + self.shift
        return placed


def waves(rng: np.random.Generator, frame: Frame, frequency: float, count: int = 24) -> np.ndarray:
    """A smooth random field of mean 0 and variance 1: the sum of plane waves of random direction.

    Args:
        rng: Generator.
        frame: Where it is drawn.
        frequency: Mean number of waves per unit of the subject's coordinates.
        count: Number of plane waves.

    Returns:
        (size, size) float32.
    """
    angle, phase = rng.uniform(0, 2 * np.pi, (2, count))
    number = 2 * np.pi * frequency * rng.uniform(0.5, 1.5, count)
    directions = number[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    columns, rows = frame.split(directions)
    columns += phase.astype(np.float32)[:, None]
    # cos(a + b) = cos a cos b - sin a sin b makes the sum over all pixels one matrix product.
    left = np.concatenate([np.cos(rows), -np.sin(rows)])
    right = np.concatenate([np.cos(columns), np.sin(columns)])
    # In blocks so small that BLAS starts no threads, which would only get in each other's way.
    blocks = np.array_split(left.T, math.ceil(frame.size**2 / BLOCK))
    field: np.ndarray = (2 / count) ** 0.5 * np.concatenate([block @ right for block in blocks])
    return field


def fractal(rng: np.random.Generator, frame: Frame, frequency: float, octaves: int) -> np.ndarray:
    """Random waves of doubling frequency and halving variance, together of variance 1."""
    weights = 0.5 ** np.arange(octaves)
    parts = [
        weight**0.5 * waves(rng, frame, frequency * 2**octave)
        for octave, weight in enumerate((weights / weights.sum()).tolist())
    ]
    field: np.ndarray = np.sum(parts, axis=0)
    return field


def step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smooth step from 0 at `low` to 1 at `high` (falling where low > high)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def discs(frame: Frame, centers: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Which share of each pixel is covered by discs.

    Args:
        frame: Where they are drawn.
        centers: (n, 2) in the subject's coordinates.
        radii: (n,) in the subject's coordinates.

    Returns:
        (size, size) float32 in [0, 1].
    """
    canvas, draw, scale = _canvas(frame.size)
    points, radii = frame.place(centers), frame.zoom * radii[:, None]
    corners = np.concatenate([points - radii, points + radii], axis=1)
    for box in ((corners + 1) * scale).tolist():
        draw.ellipse(box, fill=255)
    return _coverage(canvas)


def curves(frame: Frame, drawn: Iterable[Curve]) -> np.ndarray:
    """Which share of each pixel is covered by curves: (size, size) float32 in [0, 1]."""
    canvas, draw, scale = _canvas(frame.size)
    for curve in drawn:
        points = ((frame.place(curve.points) + 1) * scale).ravel().tolist()
        width = max(1, round(frame.zoom * curve.width * scale))
        draw.line(points, fill=255, width=width)
    return _coverage(canvas)


def wander(
    rng: np.random.Generator,
    start: np.ndarray,
    heading: float,
    length: float,
    *,
    bend: float = 0.0,
    wobble: float = 0.3,
    points: int = 8,
) -> np.ndarray:
    """A wandering path: (points, 2) coordinates.

    Args:
        rng: Generator.
        start: (2,) first point.
        heading: First direction, radians.
        length: Length of the path.
        bend: Turn of the whole path, radians.
        wobble: Standard deviation of the turn at each point, radians.
        points: Number of points.
    """
    turns = bend / (points - 1) + rng.normal(0, wobble, points - 1)
    angles = heading + np.cumsum(turns)
    steps = np.empty((points, 2))
    steps[0] = start
    steps[1:, 0], steps[1:, 1] = np.cos(angles), np.sin(angles)
    steps[1:] *= length / (points - 1)
    return steps.cumsum(axis=0)


def color(red: float, green: float, blue: float) -> np.ndarray:
    """A color, or how strongly a pigment absorbs each: (3, 1, 1) float32."""
    return np.array([red, green, blue], dtype=np.float32)[:, None, None]


def shade(palette: Sequence[np.ndarray], tone: float) -> np.ndarray:
    """The color at a tone in [0, 1] between the first and the last of a palette."""
    place = tone * (len(palette) - 1)
    index = min(int(place), len(palette) - 2)
    mixed: np.ndarray = palette[index] + (place - index) * (palette[index + 1] - palette[index])
    return mixed


def absorb(pixels: np.ndarray, pigment: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Pixels (3, h, w) seen through an amount (h, w) of a pigment, by the Beer-Lambert law."""
    seen: np.ndarray = pixels * np.exp(-amount * pigment)
    return seen


def blend(pixels: np.ndarray, paint: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Pixels (3, h, w) mixed with a color by alpha (h, w) in [0, 1]."""
    mixed: np.ndarray = pixels + alpha * (paint - pixels)
    return mixed


def blur(pixels: np.ndarray, width: float) -> np.ndarray:
    """Blur (h, w) or (c, h, w) pixels by a Gaussian, its width in units of coordinates."""
    sigma = width * pixels.shape[-1] / 2
    blurred: np.ndarray = ndimage.gaussian_filter(pixels, (0, sigma, sigma)[-pixels.ndim :])
    return blurred


def photograph(
    rng: np.random.Generator, pixels: np.ndarray, *, light: float, cast: float, noise: float
) -> np.ndarray:
    """What a camera makes of a scene: exposure, uneven light, color cast and noise.

    Args:
        rng: Generator.
        pixels: (c, h, w) float32 in [0, 1].
        light: Standard deviation of the logarithm of exposure; also of its slope over the image.
        cast: Standard deviation of the logarithm of each channel's gain.
        noise: Standard deviation of the noise.

    Returns:
        (c, h, w) float32 in [0, 1].
    """
    channels, height, _ = pixels.shape
    level, slope_x, slope_y = rng.normal(0, light, 3).tolist()
    light_field = np.exp(level + Frame(height).project(slope_x, slope_y))
    gain = np.exp(rng.normal(0, cast, (channels, 1, 1))).astype(np.float32)
    grain = rng.standard_normal(pixels.shape, dtype=np.float32)
    image: np.ndarray = np.clip(pixels * light_field * gain + noise * grain, 0, 1)
    return image


def to_rgb(pixels: np.ndarray) -> np.ndarray:
    """(3, h, w) in [0, 1] as (h, w, 3) uint8."""
    return np.ascontiguousarray((255 * pixels).round().astype(np.uint8).transpose(1, 2, 0))


def _canvas(size: int) -> tuple[Image.Image, ImageDraw.ImageDraw, float]:
    canvas = Image.new("L", (size * OVERSAMPLING, size * OVERSAMPLING))
    return canvas, ImageDraw.Draw(canvas), size * OVERSAMPLING / 2


def _coverage(canvas: Image.Image) -> np.ndarray:
    return np.asarray(canvas.reduce(OVERSAMPLING), dtype=np.float32) / 255
