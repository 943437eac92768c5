"""Dermoscopy-like images: a pigmented lesion on skin, of one of four kinds.

A kind shows in the border and in what is seen inside: pigment network, dots, blue veil, bright
cysts, branching vessels. Every kind sometimes lacks its own signs and shows those of another, so
that no classifier can be perfect. Skin tone, hair, size, place and light say nothing.
"""

from __future__ import annotations

import math
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

CLASSES = {"nevus": 7, "keratosis": 5, "carcinoma": 4, "melanoma": 4}
"""Patients of each class among every 20."""
TRAIT = "skin"
LEVELS = ("light", "medium", "dark")
"""Column of the patients' trait, and what it holds from the least to the largest."""
FEMALE = 0.5
"""Share of women."""

SKIN = (
    color(0.95, 0.79, 0.71),
    color(0.88, 0.68, 0.56),
    color(0.68, 0.48, 0.37),
    color(0.45, 0.31, 0.25),
)
MELANIN = color(0.50, 0.80, 0.98)
BLOOD = color(0.10, 0.75, 0.60)


@dataclass(frozen=True)
class Kind:
    """How a kind of lesion looks.

    Attributes:
        ragged: Typical relative amplitude of the border's irregularity.
        patchy: Typical unevenness of pigment.
        blood: Typical redness.
        network: Probability of a honeycomb of pigment.
        dots: Probability of irregular dark dots.
        veil: Probability of a blue-white veil.
        cysts: Probability of bright cysts and dark plugs.
        vessels: Probability of branching vessels.
    """

    ragged: float
    patchy: float
    blood: float
    network: float
    dots: float
    veil: float
    cysts: float
    vessels: float


KINDS = {
    "nevus": Kind(0.04, 0.12, 0.13, network=0.90, dots=0.15, veil=0.03, cysts=0.07, vessels=0.03),
    "keratosis": Kind(0.06, 0.16, 0.13, network=0.1, dots=0.1, veil=0.05, cysts=0.92, vessels=0.08),
    "carcinoma": Kind(0.07, 0.2, 0.21, network=0.06, dots=0.2, veil=0.15, cysts=0.08, vessels=0.92),
    "melanoma": Kind(0.13, 0.38, 0.16, network=0.35, dots=0.8, veil=0.75, cysts=0.08, vessels=0.1),
}


def draw(
    patient: Patient, person: np.random.Generator, view: np.random.Generator, size: int
) -> Phantom:
    """Draw one image of a patient's lesion.

    Args:
        patient: The patient.
        person: Draws what all images of the patient share.
        view: Draws pose, hair and light.
        size: Side in pixels.

    Returns:
        RGB pixels and the lesion's mask.
    """
    kind = KINDS[patient.label]
    right, down = view.normal(0, 0.07, 2).tolist()
    frame = Frame(
        size=size,
        angle=view.uniform(0, 2 * np.pi),
        zoom=view.uniform(0.9, 1.2),
        shift=(right, down),
        mirror=view.random() < 0.5,
    )
    outline, skin, pigment, signs = person.spawn(4)
    depth, cover = _outline(kind, outline, frame)
    pixels = _skin(patient.trait, skin, frame)
    pixels = _pigment(kind, pigment, frame, pixels, cover)
    pixels = _signs(kind, signs, frame, pixels, step(depth, -0.02, 0.04))
    pixels = _hair(view, pixels)
    pixels = blur(pixels, view.uniform(0.002, 0.01))
    pixels = photograph(view, pixels, light=0.08, cast=0.04, noise=view.uniform(0.006, 0.02))
    return Phantom(to_rgb(pixels), depth > 0)


def _outline(kind: Kind, rng: np.random.Generator, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Depth inside the border, and how much of the lesion each pixel shows, in [0, 1]."""
    radius, stretch = rng.uniform(0.4, 0.62), rng.uniform(1.0, 1.25)
    ragged = kind.ragged * rng.lognormal(0, 0.4)
    edge = rng.uniform(0.04, 0.14)
    distance = np.hypot(frame.x * stretch, frame.y / stretch)
    angle = np.arctan2(frame.y, frame.x)
    border = np.ones_like(angle)
    for order in range(2, 9):
        amplitude, phase = rng.normal(0, ragged) / order**0.7, rng.uniform(0, 2 * np.pi)
        border += amplitude * np.cos(order * angle + phase)
    border += 0.35 * ragged * (waves(rng, frame, 2) + waves(rng, frame, 5))
    depth = radius * np.maximum(border, 0.4) - distance
    return depth, step(depth, -edge, edge)


def _skin(tone: float, rng: np.random.Generator, frame: Frame) -> np.ndarray:
    """Skin of a tone in [0, 1), with mottling and fine furrows: (3, h, w)."""
    flush = 0.05 * fractal(rng, frame, 0.8, 3)
    furrows = 0.025 * np.abs(waves(rng, frame, 6)) + 0.012 * waves(rng, frame, 14)
    return absorb(absorb(shade(SKIN, tone), BLOOD, flush), MELANIN, furrows)


def _pigment(
    kind: Kind, rng: np.random.Generator, frame: Frame, pixels: np.ndarray, cover: np.ndarray
) -> np.ndarray:
    """Lay the lesion's melanin and blood over the skin."""
    patchy = kind.patchy * rng.lognormal(0, 0.4)
    melanin = rng.uniform(0.6, 1.4) * np.exp(patchy * fractal(rng, frame, 1.1, 4))
    (network,) = rng.spawn(1)
    if network.random() < kind.network:
        melanin *= 1 + network.uniform(0.45, 0.8) * _honeycomb(network, frame)
    blood = kind.blood * rng.lognormal(0, 0.6) * (1 + 0.3 * waves(rng, frame, 2))
    return absorb(absorb(pixels, MELANIN, cover * melanin), BLOOD, cover * blood)


def _honeycomb(rng: np.random.Generator, frame: Frame) -> np.ndarray:
    """A warped, patchy net of dark lines around bright holes, of mean near 0."""
    number, turn = 2 * np.pi / rng.uniform(0.09, 0.14), rng.uniform(0, np.pi)
    warp = [1.2 * waves(rng, frame, 1.2) for _ in range(2)]
    total = np.zeros_like(frame.x)
    for third in range(3):
        angle = turn + third * np.pi / 3
        cos, sin = math.cos(angle), math.sin(angle)
        along = frame.project(number * cos, number * sin)
        total += np.cos(along + cos * warp[0] + sin * warp[1])
    fading = 0.75 + 0.25 * waves(rng, frame, 1)
    return fading * (0.6 - 1.5 * step(total, -0.9, 2.0))


def _signs(
    kind: Kind,
    rng: np.random.Generator,
    frame: Frame,
    pixels: np.ndarray,
    within: np.ndarray,
) -> np.ndarray:
    """Draw what is seen inside the lesion; each sign has a stream of random numbers of its own."""
    veil, dots, cysts, vessels = rng.spawn(4)
    if veil.random() < kind.veil:
        alpha = veil.uniform(0.5, 0.8) * step(fractal(veil, frame, 0.8, 3), -0.2, 1.4) * within
        pixels = blend(pixels, color(0.40, 0.46, 0.56), alpha)
    if dots.random() < kind.dots:
        centers = _scatter(dots, int(dots.integers(12, 36)), 0.55)
        spots = discs(frame, centers, dots.gamma(4, 0.006, len(centers)))
        pixels = absorb(pixels, MELANIN, 1.4 * spots * within)
    if cysts.random() < kind.cysts:
        plugs, bright = (_scatter(cysts, int(cysts.integers(*n)), 0.5) for n in ((3, 9), (10, 28)))
        spots = discs(frame, plugs, cysts.uniform(0.03, 0.06, len(plugs)))
        pixels = absorb(pixels, MELANIN, 0.8 * spots * within)
        spots = discs(frame, bright, cysts.uniform(0.015, 0.04, len(bright)))
        pixels = blend(pixels, color(0.95, 0.88, 0.76), 0.75 * spots * within)
    if vessels.random() < kind.vessels:
        spread = curves(frame, _vessels(vessels)) * within
        pixels = absorb(pixels, BLOOD, 1.3 * spread)
    return pixels


def _scatter(rng: np.random.Generator, count: int, radius: float) -> np.ndarray:
    """(count, 2) points spread evenly over a disc."""
    angle, distance = rng.uniform(0, 2 * np.pi, count), radius * np.sqrt(rng.random(count))
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)


def _vessels(rng: np.random.Generator) -> list[Curve]:
    """Branching vessels that run over the lesion from its sides."""
    branches = []
    for _ in range(int(rng.integers(2, 5))):
        angle = rng.uniform(0, 2 * np.pi)
        start = 0.5 * np.array([np.cos(angle), np.sin(angle)])
        stem = wander(rng, start, angle + np.pi + rng.normal(0, 0.4), 0.8)
        branches.append(Curve(stem, 0.028))
        for at in rng.integers(1, len(stem) - 1, rng.integers(3, 7)).tolist():
            across, along = (stem[at + 1] - stem[at]).tolist()
            heading = np.arctan2(along, across) + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1)
            twig = wander(rng, stem[at], heading, rng.uniform(0.15, 0.4), points=6)
            branches.append(Curve(twig, 0.016))
    return branches


def _hair(view: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Lay hairs over the image; four in ten images have none."""
    if view.random() < 0.4:
        return pixels
    lie, dark = view.uniform(0, 2 * np.pi), view.uniform(0.08, 0.3)
    hairs = []
    for _ in range(int(view.integers(2, 16))):
        heading, length = lie + view.normal(0, 0.4), view.uniform(0.5, 1.6)
        path = wander(view, view.uniform(-1.1, 1.1, 2), heading, length, wobble=0.1)
        hairs.append(Curve(path, view.uniform(0.010, 0.02)))
    cover = 0.8 * curves(Frame(pixels.shape[-1]), hairs)
    return blend(pixels, color(dark, 0.75 * dark, 0.6 * dark), cover)
