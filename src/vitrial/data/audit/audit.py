"""The audit of a data set: everything that can be known before any training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vitrial.data.audit.alike import compare_splits, note_on
from vitrial.data.audit.checks import usable
from vitrial.data.audit.measure import measure
from vitrial.data.audit.record import Audit, facts_of, read_audit
from vitrial.data.audit.shortcuts import find_shortcuts
from vitrial.data.cache import PixelCache, prepare
from vitrial.data.levels import metadata_columns
from vitrial.data.manifest import Dataset
from vitrial.data.split import split_manifest
from vitrial.errors import DataError, Problem
from vitrial.protocol import Image, Split, digest
from vitrial.records import DamagedError

if TYPE_CHECKING:
    from vitrial.data.prepared import Prepared

FLAT = 2
"""Standard deviation of the pixels, of 255, below which an image shows nothing."""
AREA_FACTOR, ASPECT_FACTOR = 16, 2
"""An image is far from the median size beyond these factors, in area and in width / height."""
RARE = 0.01
"""A size is suspicious where no larger share of the images lies so far out."""


def audit_dataset(
    dataset: Dataset, image: Image, cache_root: Path | None = None, split: Split | None = None
) -> Audit:
    """Audit a data set as its source lists it, without stopping at anything wrong in it.

    Args:
        dataset: As a source lists it.
        image: How images are prepared.
        cache_root: Where pixel caches lie.
        split: How a study would divide it, where that is known.

    Raises:
        VitrialError: The pixel cache cannot be written.
    """
    listed = dataset.manifest
    images = listed[["image", "label", "group", *(["split"] if "split" in listed else [])]]
    used = listed.iloc[:0]
    try:
        kept, cache, problems, _ = usable(dataset, image, cache_root, "leave_out")
        used = kept.manifest
        group = images["image"].map(used.set_index("image")["group"])
        images = images.assign(group=group.fillna(images["group"]), used=group.notna())
    except DataError as error:
        # Too little is left for a study; what there is gets audited all the same.
        (cache, _), problems = prepare(dataset, image, cache_root), error.problems
        images = images.assign(used=False)
        what = "has fewer than 2 classes that can be used"
        problems = [*problems, Problem(dataset.name, what, "add images of another class")]
    if split is not None and len(used):
        try:
            used = used.assign(split=split_manifest(used, split))
            images = images.assign(split=images["image"].map(used.set_index("image")["split"]))
        except DataError as error:
            problems = problems + error.problems
    problems = problems + _disagreements(listed)
    return _audit(dataset.name, dataset.classes, images, used, cache, problems, dataset.has_files)


def audit_prepared(data: Prepared, folder: Path) -> Audit:
    """Audit the images that a study uses, and keep the result in a folder for the next time."""
    columns = ["image", "label", "group", "split"]
    images = data.manifest[columns].assign(used=True)
    fingerprint = _fingerprint(images, data.manifest, data.cache, data.problems, data.has_files)
    try:
        if (found := read_audit(folder)) and found.fingerprint == fingerprint:
            return found
    except DamagedError:  # what it said is found anew
        pass
    audit = _audit(
        data.name,
        data.classes,
        images,
        data.manifest,
        data.cache,
        data.problems,
        data.has_files,
    )
    audit.write(folder)
    return audit


def _audit(
    name: str,
    classes: list[str],
    listed: pd.DataFrame,
    used: pd.DataFrame,
    cache: PixelCache,
    problems: list[Problem],
    has_files: bool,
) -> Audit:
    measured = measure(cache, has_files)
    images = listed.merge(measured.astype({"row": "Int64"}), on="image", how="left")
    decoded = images[images["row"].notna()]
    shortcuts = find_shortcuts(images[images["used"]])
    alike = compare_splits(used) if "split" in used else []
    notes = [*_flat(decoded), *_far_sizes(decoded), *note_on(alike, name)]
    notes += [shortcut.problem(name) for shortcut in shortcuts if shortcut.suspicious]
    return Audit(
        name,
        classes,
        images,
        problems + notes,
        shortcuts,
        alike,
        cache.path.resolve(),
        _fingerprint(listed, used, cache, problems, has_files),
    )


def _fingerprint(
    listed: pd.DataFrame,
    used: pd.DataFrame,
    cache: PixelCache,
    problems: list[Problem],
    has_files: bool,
) -> str:
    metadata = used[["image", *metadata_columns(used)]]
    tables = [table.astype(str).to_numpy().tolist() for table in (listed, metadata)]
    return digest([cache.key, tables, list(map(facts_of, problems)), has_files])


def _disagreements(manifest: pd.DataFrame) -> list[Problem]:
    """Groups, as the data name them, whose images have different labels."""
    labels = manifest.groupby("group")["label"].transform("nunique")
    return [
        Problem(
            f"group {group}",
            f"has images with different labels ({', '.join(sorted(rows['label'].unique()))}), "
            f"such as {', '.join(rows.drop_duplicates('label')['image'])}",
            "correct the labels if the group is a lesion; a patient may have several",
            fatal=False,
        )
        for group, rows in manifest[labels > 1].groupby("group")
    ]


def _flat(images: pd.DataFrame) -> list[Problem]:
    return [
        Problem(
            name,
            f"is nearly constant: its pixels' standard deviation is below {FLAT} of 255",
            "look at it, and remove it if it shows nothing",
            fatal=False,
        )
        for name in images.loc[images["spread"] < FLAT, "image"]
    ]


def _far_sizes(images: pd.DataFrame) -> list[Problem]:
    """Rare images whose size or shape is far from the median."""
    found = []
    for what, values, factor in (
        ("size: its area", images["width"] * images["height"], AREA_FACTOR),
        ("shape: its width / height", images["aspect"], ASPECT_FACTOR),
    ):
        values = values.astype(np.float64)
        far = np.abs(np.log(values / values.median())) > np.log(factor)
        if 0 < far.sum() <= RARE * len(images):
            what = f"has an unusual {what} differs from the median more than {factor}-fold"
            fix = "look at it, and remove it if it is no image of this kind"
            found += [Problem(name, what, fix, fatal=False) for name in images.loc[far, "image"]]
    return found
