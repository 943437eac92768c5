"""Predictions of imaginary runs on an imaginary test set, whose true difference is known.

An image's evidence for its class is the run's quality plus noise. Part of the noise is shared by
all runs, since some images are hard for everybody, and part of that by all images of a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TestSet:
    """Images with their classes and patients.

    Attributes:
        targets: (n,) class indices.
        groups: (n,) the patient of each image.
        classes: Number of classes.
    """

    targets: np.ndarray
    groups: np.ndarray
    classes: int


def draw_test_set(
    images: int,
    shares: Sequence[float],
    images_per_group: tuple[int, int],
    generator: np.random.Generator,
) -> TestSet:
    """Draw a stratified test set: class counts are the shares, patients have images of one class.

    Args:
        images: Number of images.
        shares: Of the classes, adding up to 1; each class has at least 2 patients.
        images_per_group: Fewest and most images of a patient, equally likely.
        generator: Of the draws.
    """
    targets: list[int] = []
    groups: list[int] = []
    patient = 0
    for c, share in enumerate(shares):
        left = max(2, round(share * images))
        first = patient
        while left:
            most = min(left, images_per_group[1]) if patient > first else max(1, left // 2)
            size = min(int(generator.integers(images_per_group[0], images_per_group[1] + 1)), most)
            targets += [c] * size
            groups += [patient] * size
            left -= size
            patient += 1
    return TestSet(np.array(targets), np.array(groups), len(shares))


def draw_logits(
    test: TestSet,
    qualities: Sequence[float] | np.ndarray,
    generator: np.random.Generator,
    *,
    ordered: bool = False,
    shared: float = 0.6,
    by_patient: float = 0.4,
    arms: Sequence[int] | None = None,
    by_arm: float = 0.0,
) -> np.ndarray:
    """Draw the logits of runs.

    Args:
        test: Images.
        qualities: Of each run: how far the evidence for the right class stands above the noise,
            in its standard deviations.
        generator: Of the draws.
        ordered: Whether the classes are grades, and errors mostly go to neighbors.
        shared: See `draw_noise`, as for the three below.
        by_patient: Likewise.
        arms: Likewise.
        by_arm: Likewise.

    Returns:
        (runs, n, classes).
    """
    noise = draw_noise(
        test,
        len(qualities),
        generator,
        ordered=ordered,
        shared=shared,
        by_patient=by_patient,
        arms=arms,
        by_arm=by_arm,
    )
    return to_logits(test, np.asarray(qualities), noise, ordered=ordered)


def draw_noise(
    test: TestSet,
    runs: int,
    generator: np.random.Generator,
    *,
    ordered: bool = False,
    shared: float = 0.6,
    by_patient: float = 0.4,
    arms: Sequence[int] | None = None,
    by_arm: float = 0.0,
) -> np.ndarray:
    """Draw what hides each image's class from each run.

    Args:
        test: Images.
        runs: Number of runs.
        generator: Of the draws.
        ordered: Whether the classes are grades, on one axis; else each class has an axis.
        shared: Share of the noise's variance that is common to all runs, in [0, 1].
        by_patient: Share of the common variance that is common to a patient's images, in [0, 1].
        arms: The arm of each run, from 0; all of one arm if left out.
        by_arm: Share of the noise's variance that is common to an arm's runs alone, in
            [0, 1 - shared]: arms err on different images.

    Returns:
        (runs, n, axes), of variance 1.
    """
    n, axes = len(test.targets), 1 if ordered else test.classes

    def draw() -> np.ndarray:
        patients = generator.standard_normal((test.groups.max() + 1, axes))[test.groups]
        images = generator.standard_normal((n, axes))
        return np.asarray(np.sqrt(by_patient) * patients + np.sqrt(1 - by_patient) * images)

    common = draw()
    of_arm = np.stack([draw() for _ in set(arms)]) if by_arm and arms is not None else None
    own = generator.standard_normal((runs, n, axes))
    noise = np.sqrt(shared) * common + np.sqrt(1 - shared - by_arm) * own
    if of_arm is not None:
        noise += np.sqrt(by_arm) * of_arm[np.asarray(arms)]
    return np.asarray(noise)


def to_logits(
    test: TestSet, qualities: np.ndarray, noise: np.ndarray, *, ordered: bool = False
) -> np.ndarray:
    """What runs of these qualities (runs,) make of the noise (runs, n, axes)."""
    grade = np.arange(test.classes)
    quality = qualities[:, None, None]
    if ordered:
        seen = test.targets[:, None] * quality + noise
        return np.asarray(-((seen - grade * quality) ** 2) / 2)
    return np.asarray(quality * (test.targets[:, None] == grade) + noise)
