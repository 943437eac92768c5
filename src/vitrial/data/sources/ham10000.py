"""HAM10000: Tschandl, Rosendahl, Kittler, Scientific Data 5:180161, 2018."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from vitrial.data.about import About
from vitrial.data.io.by_stem import find_images, find_table
from vitrial.data.io.files import Files
from vitrial.data.io.table import read_table, require_columns, row_name
from vitrial.data.manifest import Dataset
from vitrial.errors import Problem, VitrialError
from vitrial.protocol.data import DataSection
from vitrial.protocol.section import AbsolutePath

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
TABLES = ("HAM10000_metadata", "HAM10000_metadata.csv", "HAM10000_metadata.tab")
MASK = "_segmentation"
ABOUT = About(
    title="HAM10000: dermoscopy of pigmented skin lesions",
    license="CC BY-NC 4.0",
    where="https://doi.org/10.7910/DVN/DBW86T (Harvard Dataverse)",
    layout=(
        "HAM10000_images_part_1 and HAM10000_images_part_2, each a .zip or a folder of .jpg; "
        "HAM10000_metadata (also .csv or .tab); if wanted, "
        "HAM10000_segmentations_lesion_tschandl, the lesions' masks. Nothing is renamed or moved."
    ),
    size="10,015 images of 7,470 lesions in 7 classes; 1,956 lesions were photographed repeatedly",
    classes=CLASSES,
    citation=(
        "P. Tschandl, C. Rosendahl, H. Kittler: The HAM10000 dataset, a large collection of "
        "multi-source dermatoscopic images of common pigmented skin lesions. Scientific Data "
        "5:180161, 2018."
    ),
)


class Ham10000Data(DataSection):
    """HAM10000 (Tschandl et al., Sci. Data 2018): 10,015 dermoscopy images of 7 diagnoses."""

    source: Literal["ham10000"]
    root: AbsolutePath

    known_classes: ClassVar[bool] = True

    def unordered(self) -> str:
        """Its classes."""
        return "diagnoses"


DATA = Ham10000Data


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
    place = find_table(files, names, TABLES)
    table, problems = read_table(files.read(place), place)
    require_columns(table, COLUMNS, place)
    masked = table["image_id"] + MASK
    by_stem, notes = find_images(names, [*table["image_id"], *masked])
    image = table["image_id"].map(by_stem)
    if not image.notna().any():
        raise VitrialError(
            f"{files.root} holds no image of HAM10000: put HAM10000_images_part_1.zip and "
            "HAM10000_images_part_2.zip there."
        )
    unknown = ~table["dx"].isin(CLASSES)
    for number in table.index[image.isna() | unknown]:
        image_id, dx = table.loc[number, ["image_id", "dx"]]
        what, fix = (
            (f"has the unknown diagnosis '{dx}'", "download the metadata again")
            if unknown[number]
            else (f"names {image_id}, which is not found", "add both parts of the images")
        )
        problems.append(Problem(row_name(number, place), what, fix))
    mask = masked.map(by_stem).astype(object)
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
    manifest = manifest.reset_index(drop=True)
    return Dataset("ham10000", manifest, list(CLASSES), files, [*problems, *notes])
