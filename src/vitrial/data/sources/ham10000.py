"""HAM10000: Tschandl, Rosendahl, Kittler, Scientific Data 5:180161, 2018."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from vitrial.data.decode import SUFFIXES
from vitrial.data.files import Files, suffix_of
from vitrial.data.manifest import Dataset
from vitrial.data.sources.table import read_table, require_columns, row_name
from vitrial.errors import Problem, VitrialError
from vitrial.protocol import Ham10000Data

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
TABLES = frozenset({"HAM10000_metadata", "HAM10000_metadata.csv", "HAM10000_metadata.tab"})
MASK = "_segmentation"


def load(data: Ham10000Data) -> Dataset:
    """List the 10,015 images, wherever below the root they lie, zipped or not.

    Groups are lesions, many of which were photographed more than once. Masks are used where they
    are found. `age` is a float in years, NaN where unknown; `sex`, `localization` and `dx_type`
    (how the diagnosis was made) are texts.

    Raises:
        VitrialError: The table of metadata or all images are missing.
    """
    files = Files(data.root)
    names = files.names()
    by_stem = {_stem(name): name for name in reversed(names) if suffix_of(name) in SUFFIXES}
    place = _table_place(names, files)
    table, problems = read_table(files.read(place), place)
    require_columns(table, COLUMNS, place)
    image = table["image_id"].map(by_stem)
    if not image.notna().any():
        raise VitrialError(
            f"{files.root} holds no image of HAM10000: put HAM10000_images_part_1.zip and "
            "HAM10000_images_part_2.zip there."
        )
    unknown = ~table["dx"].isin(CLASSES)
    for number in table.index[image.isna() | unknown]:
        image_id, dx = table.loc[number, ["image_id", "dx"]]
        what, mend = (
            (f"has the unknown diagnosis '{dx}'", "download the metadata again")
            if unknown[number]
            else (f"names {image_id}, which is not found", "add both parts of the images")
        )
        problems.append(Problem(row_name(number, place), what, mend))
    mask = (table["image_id"] + MASK).map(by_stem).astype(object)
    manifest = pd.DataFrame(
        {
            "image": image,
            "label": table["dx"],
            "group": table["lesion_id"],
            "mask": mask.where(mask.notna(), None),
            "age": pd.to_numeric(table["age"], errors="coerce").astype(np.float64),
            "sex": table["sex"],
            "localization": table["localization"],
            "dx_type": table["dx_type"],
        }
    )[image.notna() & ~unknown]
    return Dataset("ham10000", manifest.reset_index(drop=True), list(CLASSES), files, problems)


def _table_place(names: list[str], files: Files) -> str:
    """Where the metadata lie; the place nearest to the root counts."""
    places = [name for name in names if PurePosixPath(name).name in TABLES]
    if not places:
        raise VitrialError(f"{files.root} holds no HAM10000_metadata: put it next to the images.")
    return min(places, key=lambda name: (name.count("/"), name))


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
