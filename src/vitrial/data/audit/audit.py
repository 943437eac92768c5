"""The audit of a data set: everything that can be known before any training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vitrial.atomic import replacing
from vitrial.data.audit.alike import Alike, compare_splits, note_on
from vitrial.data.audit.checks import usable
from vitrial.data.audit.measure import measure
from vitrial.data.audit.shortcuts import Shortcut, find_shortcuts
from vitrial.data.cache import PixelCache, prepare
from vitrial.data.levels import metadata_columns
from vitrial.data.manifest import Dataset
from vitrial.data.split import split_manifest
from vitrial.errors import DataError, Problem
from vitrial.layout import AUDIT_FACTS, AUDIT_IMAGES
from vitrial.legacy import path_of
from vitrial.protocol import Image, Split, digest
from vitrial.records import DamagedError, read_record, read_table, reading, write_record

if TYPE_CHECKING:
    from vitrial.data.prepared import Prepared

PROBLEM = ("where", "what", "fix", "fatal")
FLAT = 2
"""Standard deviation of the pixels, of 255, below which an image shows nothing."""
AREA_FACTOR, ASPECT_FACTOR = 16, 2
"""An image is far from the median size beyond these factors, in area and in width / height."""
RARE = 0.01
"""A size is suspicious where no larger share of the images lies so far out."""


@dataclass(frozen=True)
class Audit:
    """What was found in a data set.

    Attributes:
        name: Of the data set.
        classes: Class names in order.
        images: A row per image that the source lists: `image`, `label`, `group` (joined with that
            of its copies), `split` where it is known, `used` (whether a study would use it), and
            the columns of `measure`, which lack values where an image cannot be decoded.
        problems: What is wrong (fatal) or worth knowing, all of it.
        shortcuts: How well measurements alone tell the classes.
        alike: Similarity of the splits; empty where they are not known.
        cache: Folder of the pixel cache, in which `images.row` counts.
        fingerprint: Changes with the data and what is wrong with them.
    """

    name: str
    classes: list[str]
    images: pd.DataFrame
    problems: list[Problem]
    shortcuts: list[Shortcut]
    alike: list[Alike]
    cache: Path
    fingerprint: str

    @property
    def fatal(self) -> int:
        """Number of problems that a study would stop at."""
        return sum(problem.fatal for problem in self.problems)

    def class_table(self) -> pd.DataFrame:
        """A row per class: images listed, used, their groups, and used ones by split if known."""
        used = self.images[self.images["used"]]
        table = pd.DataFrame(
            {
                "images": self.images["label"].value_counts(),
                "used": used["label"].value_counts(),
                "groups": used.groupby("label")["group"].nunique(),
            }
        )
        if "split" in used:
            table = table.join(pd.crosstab(used["label"], used["split"]))
        return table.reindex(self.classes).fillna(0).astype(int)

    def imbalance(self) -> float:
        """Used images of the largest class for each one of the smallest that has any."""
        used = self.images.loc[self.images["used"], "label"].value_counts()
        return float(used.max() / used.min()) if len(used) else 1.0

    def write(self, folder: Path) -> None:
        """Write `images.parquet` and, last, `audit.json`."""
        with replacing(folder / AUDIT_IMAGES) as temporary:
            self.images.to_parquet(temporary, index=False)
        facts = {
            "name": self.name,
            "classes": self.classes,
            "problems": [dict(zip(PROBLEM, _values(p), strict=True)) for p in self.problems],
            "shortcuts": [asdict(shortcut) for shortcut in self.shortcuts],
            "alike": [asdict(figure) for figure in self.alike],
            "cache": str(self.cache),
            "fingerprint": self.fingerprint,
        }
        write_record(folder / AUDIT_FACTS, facts, [AUDIT_IMAGES])


def read_audit(folder: Path, way_out: str = "audit the data again") -> Audit | None:
    """The audit that was written to a folder, if there is one.

    Args:
        folder: Where it was written.
        way_out: What the user can do if it is damaged; follows a colon.

    Raises:
        DamagedError: It is not what was written.
    """
    path = path_of(folder / AUDIT_FACTS)
    if not path.exists():
        return None
    facts = read_record(path, way_out)
    images = read_table(path.with_name(AUDIT_IMAGES), facts, way_out)
    with reading(path, way_out):
        return Audit(
            name=facts["name"],
            classes=facts["classes"],
            images=images,
            problems=[Problem(**problem) for problem in facts["problems"]],
            shortcuts=[Shortcut(**shortcut) for shortcut in facts["shortcuts"]],
            alike=[Alike(**figure) for figure in facts.get("alike", [])],
            cache=Path(facts["cache"]),
            fingerprint=facts["fingerprint"],
        )


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
    return digest([cache.key, tables, list(map(_values, problems)), has_files])


def _values(problem: Problem) -> tuple[str, str, str, bool]:
    """As `astuple`, which takes ten times as long: there may be 200,000."""
    return problem.where, problem.what, problem.fix, problem.fatal


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
