"""Fundus-like images: a retina graded "0" to "4" by the number and kind of its lesions.

The grades follow the shape of diabetic retinopathy's: none; few microaneurysms; more of them with
some haemorrhages and exudates; many in all parts, with cotton-wool spots; new vessels and
preretinal bleeding. Counts of neighboring grades overlap. Pigmentation, drusen, side, field and
light say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitrial.data.phantoms.patient import Patient, Phantom
from vitrial.data.phantoms.shapes import (
    Curve,
    Frame,
    absorb,
    blend,
    blur,
    color,
    curves,
    discs,
    fractal,
    photograph,
    shade,
    step,
    to_rgb,
    wander,
    waves,
)

CLASSES = {"0": 6, "1": 4, "2": 4, "3": 3, "4": 3}
"""Patients of each class among every 20."""
TRAIT = "pigmentation"
LEVELS = ("light", "medium", "dark")
"""Column of the patients' trait, and what it holds from the least to the largest."""
FEMALE = 0.5
"""Share of women."""

RETINA = (color(0.86, 0.50, 0.28), color(0.78, 0.38, 0.17), color(0.60, 0.27, 0.12))
BLOOD = color(0.22, 0.85, 0.70)
DISC = np.array([0.52, -0.04])
"""Center of the optic disc; the macula is the origin."""


@dataclass(frozen=True)
class Grade:
    """Least and largest number of each lesion, both included.

    Attributes:
        aneurysms: Microaneurysms, tiny red dots.
        bleeds: Blot haemorrhages.
        exudates: Clusters of bright yellow spots.
        wool: Cotton-wool spots, soft and white.
        tufts: Tangles of new vessels, half of them with a preretinal haemorrhage.
    """

    aneurysms: tuple[int, int]
    bleeds: tuple[int, int] = (0, 0)
    exudates: tuple[int, int] = (0, 0)
    wool: tuple[int, int] = (0, 0)
    tufts: tuple[int, int] = (0, 0)


GRADES = {
    "0": Grade((0, 0)),
    "1": Grade((4, 12), bleeds=(0, 1), exudates=(0, 1)),
    "2": Grade((9, 24), bleeds=(1, 6), exudates=(0, 3)),
    "3": Grade((16, 36), bleeds=(4, 14), exudates=(0, 5), wool=(0, 4)),
    "4": Grade((10, 34), bleeds=(2, 14), exudates=(0, 5), wool=(0, 3), tufts=(1, 2)),
}


def draw(
    patient: Patient, person: np.random.Generator, view: np.random.Generator, size: int
) -> Phantom:
    """Draw one image of a patient's retina.

    Args:
        patient: The patient.
        person: Draws what all images of the patient share.
        view: Draws field, side, focus and light.
        size: Side in pixels.

    Returns:
        RGB pixels and the mask of all lesions.
    """
    right, down = view.normal(0, 0.05, 2).tolist()
    frame = Frame(
        size=size,
        angle=view.normal(0, 0.12),
        zoom=view.uniform(0.92, 1.08),
        shift=(right, down),
        mirror=view.random() < 0.5,
    )
    background, anatomy, drusen, lesions = person.spawn(4)
    pixels = _retina(patient.trait, background, frame)
    pixels = _vessels(anatomy, frame, pixels)
    pixels = _drusen(drusen, frame, pixels)
    pixels, mask = _lesions(GRADES[patient.label], lesions, frame, pixels)
    pixels = blur(pixels, view.uniform(0.002, 0.008))
    field = _field(view, size)
    pixels = photograph(view, pixels, light=0.09, cast=0.05, noise=view.uniform(0.005, 0.016))
    pixels = np.clip(pixels * field, 0, 1)
    return Phantom(to_rgb(pixels), mask & (field > 0.5))


def _field(view: np.random.Generator, size: int) -> np.ndarray:
    """What the camera sees: a bright round field, cut off above and below in some images."""
    frame = Frame(size)
    radius, cut = view.uniform(0.90, 0.99), (0.78, 0.86, 2.0)[view.integers(3)]
    distance = np.hypot(frame.x, frame.y) / radius
    soft = 3.0 / size
    inside = step(distance, 1 + soft, 1 - soft) * step(np.abs(frame.y), cut + soft, cut - soft)
    field: np.ndarray = inside * (1 - view.uniform(0.15, 0.45) * distance**2)
    return field


def _retina(tone: float, rng: np.random.Generator, frame: Frame) -> np.ndarray:
    """Background of a pigmentation in [0, 1), macula and optic disc."""
    mottling = 0.07 * fractal(rng, frame, 1.5, 4)
    macula = 0.45 * np.exp(-(frame.x**2 + frame.y**2) / rng.uniform(0.02, 0.05))
    pixels = absorb(shade(RETINA, tone), BLOOD, mottling + macula)
    distance = np.hypot((frame.x - DISC[0].item()) * 1.1, frame.y - DISC[1].item())
    radius = rng.uniform(0.13, 0.16)
    glow = 0.25 * np.exp(-((distance / 0.35) ** 2))
    pixels = blend(pixels, color(0.98, 0.72, 0.40), glow)
    pixels = blend(pixels, color(0.98, 0.80, 0.52), step(distance, radius + 0.025, radius - 0.025))
    cup = radius * rng.uniform(0.3, 0.6)
    return blend(pixels, color(1.0, 0.93, 0.76), 0.8 * step(distance, cup + 0.03, cup - 0.03))


def _vessels(rng: np.random.Generator, frame: Frame, pixels: np.ndarray) -> np.ndarray:
    """Arteries, and veins wider and darker: two arcades around the macula, two away from it."""
    for depth, width in ((0.75, 0.025), (1.15, 0.033)):
        branches: list[Curve] = []
        for up in (-1, 1):
            slant = rng.uniform(1.75, 2.15)
            _grow(rng, branches, DISC, up * slant, 1.5, up * rng.uniform(0.9, 1.4), width)
            slant = rng.uniform(0.5, 1.2)
            _grow(rng, branches, DISC, up * slant, 0.8, -up * rng.uniform(0, 0.6), 0.85 * width)
        cover = blur(curves(frame, branches), 0.005)
        pixels = absorb(pixels, BLOOD, depth * cover)
    return pixels


def _grow(
    rng: np.random.Generator,
    branches: list[Curve],
    start: np.ndarray,
    heading: float,
    length: float,
    bend: float,
    width: float,
) -> None:
    """Add a vessel and, down to a least width, the branches that leave it."""
    path = wander(rng, start, heading, length, bend=bend, wobble=0.12, points=10)
    branches.append(Curve(path, width))
    if width < 0.02:
        return
    branches.append(Curve(path[:5], 1.3 * width))
    turns, reaches = rng.uniform(0.4, 0.9, 4), length * rng.uniform(0.3, 0.6, 4)
    for at in range(4):
        across, along = (path[2 * at + 2] - path[2 * at + 1]).tolist()
        turn = turns[at] if at % 2 else -turns[at]
        leaving = np.arctan2(along, across) + turn
        _grow(rng, branches, path[2 * at + 1], leaving, reaches[at], -0.3 * turn, 0.5 * width)


def _drusen(rng: np.random.Generator, frame: Frame, pixels: np.ndarray) -> np.ndarray:
    """Pale dots around the macula of one patient in three, of any grade."""
    if rng.random() > 0.35:
        return pixels
    centers = rng.normal(0, 0.2, (rng.integers(8, 30), 2))
    cover = discs(frame, centers, rng.uniform(0.008, 0.022, len(centers)))
    return blend(pixels, color(0.93, 0.68, 0.36), 0.5 * cover)


def _lesions(
    grade: Grade, rng: np.random.Generator, frame: Frame, pixels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a grade's lesions; the second result is true where they are."""
    counts = (grade.wool, grade.exudates, grade.bleeds, grade.aneurysms, grade.tufts)
    wool, exudates, bleeds, aneurysms, tufts = (
        _spread(rng, int(rng.integers(low, high + 1))) for low, high in counts
    )
    soft = blur(discs(frame, wool, rng.uniform(0.04, 0.07, len(wool))), 0.03)
    pixels = blend(pixels, color(0.96, 0.86, 0.68), 0.85 * soft)
    clusters = _clusters(rng, exudates, 9, 0.045)
    yellow = discs(frame, clusters, rng.uniform(0.008, 0.026, len(clusters)))
    pixels = blend(pixels, color(1.0, 0.90, 0.45), 0.85 * yellow)
    red = discs(frame, aneurysms, rng.uniform(0.014, 0.022, len(aneurysms)))
    blots = _clusters(rng, bleeds, 4, 0.018)
    dark = discs(frame, blots, rng.uniform(0.012, 0.04, len(blots)))
    fresh = _new_vessels(rng, frame, tufts)
    pixels = absorb(pixels, BLOOD, np.maximum.reduce([red, 1.3 * dark, 1.1 * fresh]))
    return pixels, np.maximum.reduce([soft, yellow, red, dark, fresh]) > 0.3


def _new_vessels(rng: np.random.Generator, frame: Frame, centers: np.ndarray) -> np.ndarray:
    """Tangles of thin vessels, half of them above a boat-shaped preretinal haemorrhage."""
    tangle, cover = [], np.zeros_like(frame.x)
    for center in centers:
        for _ in range(int(rng.integers(7, 12))):
            heading = rng.uniform(0, 2 * np.pi)
            path = wander(rng, center, heading, 0.35, wobble=0.8, points=10)
            tangle.append(Curve(path, 0.011))
        if rng.random() < 0.5:
            left, top = (center + rng.normal(0, 0.05, 2)).tolist()
            boat = np.hypot(frame.x - left, frame.y - top) / rng.uniform(0.10, 0.2)
            ripple = 0.08 * waves(rng, frame, 3)
            cover = np.maximum(cover, step(boat + ripple, 1.05, 0.95) * (frame.y > top))
    bleeding: np.ndarray = np.maximum(cover, curves(frame, tangle))
    return bleeding


def _spread(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 2) places on the retina, spread evenly over a disc that every field shows."""
    angle, distance = rng.uniform(0, 2 * np.pi, count), 0.75 * np.sqrt(rng.random(count))
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)


def _clusters(rng: np.random.Generator, places: np.ndarray, each: int, width: float) -> np.ndarray:
    """(n * each, 2) points scattered around (n, 2) places."""
    points = np.repeat(places, each, axis=0)
    return points + rng.normal(0, width, points.shape)
