"""Data sets of synthetic images, drawn when they are read."""

from __future__ import annotations

import io
import re
from types import ModuleType
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from PIL import Image
from pydantic import Field

from vitrial.data.about import About
from vitrial.data.manifest import Dataset
from vitrial.data.phantoms import dermoscopy, fundus, mammogram
from vitrial.data.phantoms.patient import Patient, generator, make_patient
from vitrial.protocol.data import DataSection
from vitrial.protocol.section import Seed

ABOUT = About(
    title="Phantoms: synthetic images of skin lesions, fundi or breasts, with masks",
    license="vitrial's own (Apache 2.0)",
    where="nowhere: vitrial draws them when they are read",
    layout="no files",
    size=(
        "1 to 3 images of each of 400 patients, or as many as the protocol asks for: 4 classes of "
        "dermoscopy, 5 ordered grades of fundus, or mammograms with a mass and without"
    ),
)
TASKS: dict[str, ModuleType] = {
    "dermoscopy": dermoscopy,
    "fundus": fundus,
    "mammogram": mammogram,
}
DRAWING = 1
"""Raised whenever the same names give other pixels than before."""
NAME = re.compile(r"patient-(\d{4,})/(image|mask)-([1-3])\.png")


class PhantomData(DataSection):
    """Synthetic images drawn on the fly, several a patient, with lesion masks.

    Attributes:
        task: `dermoscopy` (4 classes), `fundus` (5 ordered grades), `mammogram` (16-bit, mass or
            none).
        patients: Number of patients; each has 1 to 3 images.
        size: Side of the drawn image in pixels.
        seed: Another seed draws other patients.
    """

    source: Literal["phantom"]
    task: Literal["dermoscopy", "fundus", "mammogram"] = "dermoscopy"
    patients: int = Field(400, ge=20, le=100_000)
    size: int = Field(128, ge=32, le=1024)
    seed: Seed = 0

    first_key: ClassVar[str | None] = "task"
    sized: ClassVar[bool] = True
    known_classes: ClassVar[bool] = True

    def unordered(self) -> str:
        """Its classes, but for grades, and but for two."""
        return "diagnoses" if self.task == "dermoscopy" else ""


DATA = PhantomData


class Phantoms:
    """Reads a data set's PNG files by drawing them, such as `patient-0007/image-1.png`.

    A file depends only on task, seed and size of the data set, patient and number of the image,
    whatever was drawn before. Masks are 8-bit, 255 on lesions and 0 elsewhere.
    """

    def __init__(self, data: PhantomData) -> None:
        self.data = data
        self.task = TASKS[data.task]

    def patient(self, number: int) -> Patient:
        """The patient with a number from 0."""
        task = self.task
        return make_patient(self.data.task, self.data.seed, number, task.CLASSES, task.FEMALE)

    def names(self, suffixes: frozenset[str] | None = None) -> list[str]:
        """All file names, sorted; none where `suffixes` lacks `.png`."""
        if suffixes is not None and ".png" not in suffixes:
            return []
        return sorted(
            f"{_folder(number)}/{kind}-{index}.png"
            for number in range(self.data.patients)
            for index in range(1, self.patient(number).images + 1)
            for kind in ("image", "mask")
        )

    def read(self, name: str) -> bytes:
        """Draw a file: PNG bytes.

        Raises:
            FileNotFoundError: There is no such image or mask.
        """
        patient, kind, index = self._find(name)
        key = (self.data.task, self.data.seed, patient.number)
        phantom = self.task.draw(
            patient, generator(*key, "person"), generator(*key, "view", index), self.data.size
        )
        pixels = phantom.pixels if kind == "image" else phantom.mask.astype(np.uint8) * 255
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG", compress_level=1)
        return content.getvalue()

    def stamp(self, name: str) -> str:
        """A text that changes when the drawing of a file may have changed.

        Raises:
            FileNotFoundError: There is no such image or mask.
        """
        self._find(name)
        return f"drawing-{DRAWING}-{self.data.task}-{self.data.seed}-{self.data.size}"

    def _find(self, name: str) -> tuple[Patient, str, int]:
        if match := NAME.fullmatch(name):
            number, kind, index = int(match[1]), match[2], int(match[3])
            patient = self.patient(number)
            known = number < self.data.patients and match[1] == f"{number:04d}"
            if known and index <= patient.images:
                return patient, kind, index
        raise FileNotFoundError(f"the phantoms hold no '{name}'")


def load(data: PhantomData) -> Dataset:
    """List a data set of synthetic images.

    Args:
        data: Task, number of patients, size and seed.

    Returns:
        The data set. Its manifest has `image`, `label`, `group` (the patient) and `mask`, and
        three columns that say nothing about the label: `sex`, `age`, and by task `skin`,
        `pigmentation` or `density`.
    """
    reader = Phantoms(data)
    task = reader.task
    rows = []
    for number in range(data.patients):
        patient = reader.patient(number)
        rows += [
            {
                "image": f"{_folder(number)}/image-{index}.png",
                "label": patient.label,
                "group": _folder(number),
                "mask": f"{_folder(number)}/mask-{index}.png",
                "sex": patient.sex,
                "age": patient.age,
                task.TRAIT: task.LEVELS[int(patient.trait * len(task.LEVELS))],
            }
            for index in range(1, patient.images + 1)
        ]
    return Dataset(
        name=f"phantom-{data.task}",
        manifest=pd.DataFrame(rows),
        classes=list(task.CLASSES),
        reader=reader,
        problems=[],
        has_files=False,
    )


def _folder(number: int) -> str:
    return f"patient-{number:04d}"
