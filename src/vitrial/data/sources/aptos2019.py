"""APTOS 2019 Blindness Detection: Asia Pacific Tele-Ophthalmology Society, Kaggle, 2019."""

from __future__ import annotations

from typing import ClassVar, Literal

import pandas as pd

from vitrial.data.about import About
from vitrial.data.io.by_stem import (
    faults_of,
    find_images,
    find_table,
    repeated_rows,
    sound_rows,
)
from vitrial.data.io.files import Files
from vitrial.data.io.table import read_table, require_columns
from vitrial.data.manifest import Dataset
from vitrial.errors import VitrialError
from vitrial.protocol.data import DataSection
from vitrial.protocol.section import AbsolutePath

CLASSES = ("0", "1", "2", "3", "4")
"""No, mild, moderate, severe and proliferative diabetic retinopathy."""
TABLES = ("train.csv",)
ABOUT = About(
    title="APTOS 2019: fundus photographs, graded for diabetic retinopathy",
    license="the rules of the Kaggle competition, which are accepted before the download",
    where="https://www.kaggle.com/competitions/aptos2019-blindness-detection/data",
    layout=(
        "aptos2019-blindness-detection.zip, or what it unpacks to: train.csv (id_code, "
        "diagnosis) and train_images/<id_code>.png. Nothing is renamed or moved. The "
        "competition's test images, whose grades are not published, may lie there unused."
    ),
    size=(
        "3,662 images in 5 ordered grades of retinopathy: none, mild, moderate, severe, "
        "proliferative; the table names no patients"
    ),
    classes=CLASSES,
    citation=(
        "Asia Pacific Tele-Ophthalmology Society: APTOS 2019 Blindness Detection. Kaggle, 2019."
    ),
)


class Aptos2019Data(DataSection):
    """APTOS 2019 (Kaggle): 3,662 fundus images, 5 ordered grades of diabetic retinopathy."""

    source: Literal["aptos2019"]
    root: AbsolutePath

    known_classes: ClassVar[bool] = True


DATA = Aptos2019Data


def load(data: Aptos2019Data) -> Dataset:
    """List the 3,662 graded images, wherever below the root they lie, zipped or not.

    Classes are the grades in order. Each image is a group of its own, as the table names no
    patients.

    Raises:
        VitrialError: `train.csv` or all images are missing.
    """
    files = Files(data.root)
    names = files.names()
    place = find_table(files, names, TABLES)
    table, problems = read_table(files.read(place), place)
    require_columns(table, ("id_code", "diagnosis"), place)
    by_stem, notes = find_images(names, table["id_code"])
    if not by_stem:
        raise VitrialError(
            f"{files.root} holds no image that {place} names: put train_images there, as a folder "
            "or a .zip."
        )
    image, grade = table["id_code"].map(by_stem), table["diagnosis"]
    unknown = grade[~grade.isin(CLASSES)]
    checks = (
        faults_of(
            table["id_code"][image.isna()], "names '{}', which is not found", "add the image"
        ),
        faults_of(unknown, "has the unknown grade '{}'", "write 0, 1, 2, 3 or 4"),
        repeated_rows(table["id_code"], grade),
    )
    rows = pd.DataFrame({"image": image, "label": grade, "group": image})
    manifest, faulty = sound_rows(rows, place, checks)
    problems = [*problems, *faulty, *notes]
    return Dataset("aptos2019", manifest, list(CLASSES), files, problems)
