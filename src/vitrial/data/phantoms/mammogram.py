"""Mammogram-like images: 16-bit views of a breast, with or without a mass.

A mass is a compact bright spot with a margin. Every breast also has smeared densities of about the
same brightness, strands, vessels and calcifications, so that brightness alone says nothing. Breast
density, view, side and exposure say nothing either.
"""

from __future__ import annotations

import math

import numpy as np

from vitrial.data.phantoms.patient import Patient, Phantom
from vitrial.data.phantoms.shapes import (
    Curve,
    Frame,
    blur,
    curves,
    discs,
    fractal,
    photograph,
    step,
    wander,
    waves,
)

CLASSES = {"none": 11, "mass": 9}
"""Patients of each class among every 20."""
TRAIT = "density"
LEVELS = ("a", "b", "c", "d")
"""Column of the patients' trait, and what it holds from the least to the largest."""
FEMALE = 1.0
"""Share of women."""


def draw(
    patient: Patient, person: np.random.Generator, view: np.random.Generator, size: int
) -> Phantom:
    """Draw one view of a patient's breast.

    Args:
        patient: The patient.
        person: Draws what all images of the patient share.
        view: Draws projection, side, compression and exposure.
        size: Side in pixels.

    Returns:
        Gray 16-bit pixels that use most of the range, and the mask of the mass.
    """
    mirror = view.random() < 0.5
    frame = Frame(
        size=size,
        angle=view.normal(0, 0.06),
        zoom=view.uniform(0.92, 1.08),
        shift=(view.uniform(-0.08, 0.0) * (-1 if mirror else 1), view.normal(0, 0.06)),
        mirror=mirror,
    )
    shape, tissue, smears, details, mass = person.spawn(5)
    width, height = shape.uniform(1.2, 1.75), shape.uniform(0.76, 0.94)
    depth = _depth(shape, frame, width, height)
    breast = step(depth, 0.0, 0.03)
    density = _tissue(patient.trait, tissue, frame, depth, width)
    density += _smears(smears, frame, width, height, patient.label)
    density += _details(details, frame, width, height)
    mask = np.zeros(depth.shape, dtype=bool)
    if patient.label == "mass":
        bright, mask = _mass(mass, frame, width, height)
        density += bright
    if view.random() < 0.5:
        density += _pectoral(view, frame)
    density = blur(breast * density, view.uniform(0.003, 0.01))
    exposed = 1 - np.exp(-2.3 * density[None])
    film = photograph(view, exposed, light=0.07, cast=0, noise=0.012)[0]
    return Phantom((65535 * film).round().astype(np.uint16), mask & (depth > 0))


def _depth(rng: np.random.Generator, frame: Frame, width: float, height: float) -> np.ndarray:
    """Depth inside the breast, which bulges from the chest wall at x = -1: 1 there, 0 at the skin.

    A small bump is the nipple.
    """
    x, y = (frame.x + 1) / width, frame.y / height
    angle = np.arctan2(y, x)
    skin = 1 + 0.025 * np.cos(2 * angle + rng.uniform(0, 6)) + 0.05 * np.exp(-((angle / 0.07) ** 2))
    return skin + 0.02 * np.cos(3 * angle + rng.uniform(0, 6)) - np.hypot(x, y)


def _tissue(
    trait: float, rng: np.random.Generator, frame: Frame, depth: np.ndarray, width: float
) -> np.ndarray:
    """Fat, gland of a density in [0, 1), and strands that run towards the nipple."""
    thickness = np.sqrt(np.clip(1.6 * depth, 0, 1))
    far_x, far_y = width - 1 - frame.x, frame.y
    ray, distance = np.arctan2(far_y, far_x + 0.15), np.hypot(far_x, far_y)
    center = np.hypot((frame.x - (0.45 * width - 1)) / (0.55 * width), frame.y / 0.55)
    lobes = fractal(rng, frame, 1.1, 4)
    gland = step(1.5 * trait - 0.15 + 0.55 * lobes - 0.8 * (center - 0.6), -0.3, 1.3)
    strands = np.zeros_like(depth)
    for _ in range(4):
        number, slope, phase = rng.uniform(8, 26), rng.normal(0, 8), rng.uniform(0, 2 * np.pi)
        strands += np.cos(number * ray + slope * distance + 1.3 * lobes + phase) / 2
    ridges = np.exp(-((strands / 0.35) ** 2)) * step(distance, 0.0, 0.4)
    grain = 1 + 0.16 * fractal(rng, frame, 3.5, 4)
    density: np.ndarray = thickness * (0.17 + 0.27 * gland * grain + (0.03 + 0.07 * gland) * ridges)
    return density


def _smears(
    rng: np.random.Generator, frame: Frame, width: float, height: float, label: str
) -> np.ndarray:
    """Long smeared densities without a margin, in every breast.

    A breast without a mass has one more, which evens out the mean brightness.
    """
    total = np.zeros_like(frame.x)
    for _ in range(int(rng.integers(1, 4)) + (label == "none")):
        left, top = _place(rng, width, height).tolist()
        turn = rng.uniform(0, np.pi)
        cos, sin = math.cos(turn), math.sin(turn)
        along = frame.project(cos, sin) - (left * cos + top * sin)
        across = frame.project(-sin, cos) - (top * cos - left * sin)
        far = (along / rng.uniform(0.25, 0.5)) ** 2 + (across / rng.uniform(0.10, 0.18)) ** 2
        total += rng.uniform(0.08, 0.2) * np.exp(-far * np.exp(0.5 * waves(rng, frame, 2.5)))
    return total


def _details(rng: np.random.Generator, frame: Frame, width: float, height: float) -> np.ndarray:
    """Blood vessels, and in four of ten breasts a group of calcifications."""
    vessels = []
    for _ in range(int(rng.integers(1, 5))):
        start = np.array([-1.0, rng.uniform(-0.6, 0.6)])
        path = wander(rng, start, rng.normal(0, 0.4), rng.uniform(0.6, 1.4), wobble=0.15)
        vessels.append(Curve(path, rng.uniform(0.015, 0.025)))
    total = 0.06 * curves(frame, vessels)
    if rng.random() < 0.4:
        group = _place(rng, width, height) + rng.normal(0, 0.08, (rng.integers(3, 12), 2))
        total += 0.35 * discs(frame, group, rng.uniform(0.006, 0.012, len(group)))
    return total


def _mass(
    rng: np.random.Generator, frame: Frame, width: float, height: float
) -> tuple[np.ndarray, np.ndarray]:
    """A compact bright spot, lobulated or with spicules, and where it is."""
    center = _place(rng, width, height)
    x, y = frame.x - center[0].item(), frame.y - center[1].item()
    angle, radius = np.arctan2(y, x), rng.uniform(0.11, 0.21)
    border = np.ones_like(angle)
    for order in range(2, 6):
        border += rng.normal(0, 0.07) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    distance = np.hypot(x, y) / (radius * border)
    contrast, margin = rng.uniform(0.25, 0.5), rng.uniform(0.1, 0.4)
    bright = step(distance, 1 + margin, 1 - margin) * (1 + 0.15 * waves(rng, frame, 4))
    if rng.random() < 0.5:
        spicules = []
        for heading in rng.uniform(0, 2 * np.pi, rng.integers(10, 20)).tolist():
            path = wander(rng, center, heading, radius * rng.uniform(1.5, 2.4), wobble=0.1)
            spicules.append(Curve(path, 0.014))
        bright = np.maximum(bright, 0.5 * curves(frame, spicules))
    return contrast * bright, distance < 1


def _pectoral(view: np.random.Generator, frame: Frame) -> np.ndarray:
    """The chest muscle of an oblique view: a bright corner at the top of the chest wall."""
    reach, drop = view.uniform(0.35, 0.7), view.uniform(0.7, 1.3)
    inside = 1 - (frame.x + 1) / reach - (frame.y + 1) / drop
    fibres = 1 + 0.08 * np.cos(frame.project(18, 10) + waves(view, frame, 1))
    muscle: np.ndarray = 0.26 * step(inside, 0.0, 0.12) * fibres
    return muscle


def _place(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """A point well inside the breast: (2,)."""
    angle, distance = rng.uniform(-1.2, 1.2), rng.uniform(0.25, 0.72)
    return np.array([width * distance * math.cos(angle) - 1, height * distance * math.sin(angle)])
