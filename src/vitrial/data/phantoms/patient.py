"""Who is drawn: labels, sex, age and traits of synthetic patients, and the seeds of their images.

Everything about a patient follows from names (task, seed, patient, image), never from the order
of drawing or from how many other patients there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

BLOCK = 20
"""Class frequencies are stated, and hold exactly, for every so many patients."""


@dataclass(frozen=True)
class Patient:
    """A synthetic patient.

    Attributes:
        number: Which patient of the data set, from 0.
        label: Class of all of the patient's images.
        images: Number of images, 1 to 3.
        sex: `female` or `male`.
        age: Years.
        trait: In [0, 1): skin tone, fundus pigmentation or breast density, by task. It says
            nothing about the label.
    """

    number: int
    label: str
    images: int
    sex: str
    age: int
    trait: float


@dataclass(frozen=True)
class Phantom:
    """A drawn image.

    Attributes:
        pixels: (size, size, 3) uint8, or (size, size) uint16 for a 16-bit image.
        mask: (size, size) bool, true on lesions.
    """

    pixels: np.ndarray
    mask: np.ndarray


def generator(*names: object) -> np.random.Generator:
    """A random generator seeded by names."""
    text = "\x1f".join(map(str, names))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))


def make_patient(
    task: str, seed: int, number: int, classes: Mapping[str, int], female: float
) -> Patient:
    """Draw the patient `number` of a data set.

    Args:
        task: Name of the task.
        seed: Seed of the data set.
        number: Which patient, from 0.
        classes: Class name to number of patients in every `BLOCK`.
        female: Probability of `female`.
    """
    labels = [name for name, count in classes.items() for _ in range(count)]
    order = generator(task, seed, "labels", number // BLOCK).permutation(BLOCK)
    rng = generator(task, seed, number, "patient")
    return Patient(
        number=number,
        label=labels[order[number % BLOCK]],
        images=int(rng.integers(1, 4)),
        sex="female" if rng.random() < female else "male",
        age=int(np.clip(rng.normal(58, 13), 22, 92)),
        trait=rng.random(),
    )
