"""Data sets, one file each, as the protocol names them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pandas as pd

from vitrial.data.io.files import Files
from vitrial.data.labels import relabeled, spelled_alike, without_look_alikes
from vitrial.data.manifest import FEWEST_GROUPS, Dataset
from vitrial.data.sources.folder import undecodable_names
from vitrial.errors import Problem, VitrialError, escaped
from vitrial.protocol import Data
from vitrial.protocol.data import SOURCES
from vitrial.spelling import did_you_mean


def load_dataset(data: Data) -> Dataset:
    """List a data set, restricted to the protocol's `classes` and `limit`.

    Rows that cannot be used are left out, and are among the data set's problems. No image is
    opened.

    Raises:
        VitrialError: The data set as a whole cannot be read, or lacks a class that is asked for.
    """
    dataset = _load(data)
    undecodable = _undecodable(dataset)
    dataset = replace(dataset, name=escaped(dataset.name))
    dataset = relabeled(spelled_alike(dataset), data.relabel or {})
    dataset = without_look_alikes(dataset, data.classes)
    if data.classes is not None:
        dataset = _only(dataset, data.classes)
    if data.limit is not None:
        manifest = draw_groups(dataset.manifest, data.limit)
        dataset = replace(dataset, manifest=manifest)
    problems = [*dataset.problems, *undecodable, *_drawn_splits(dataset)]
    return replace(dataset, problems=problems)


def draw_groups(manifest: pd.DataFrame, limit: int, seed: int | None = None) -> pd.DataFrame:
    """Draw about `limit` images: whole groups, with each label's share kept.

    The groups of a label (within its split, where there is one) come in the order of a hash of
    their names, so that the draw is the same on every machine, whatever the order of rows, and a
    larger limit adds images without removing any. Every label keeps at least 3 groups. Another
    seed draws otherwise.
    """
    share = limit / len(manifest) if len(manifest) else 1
    if share >= 1:
        return manifest
    strata = ["label", *(["split"] if "split" in manifest else [])]
    counts = manifest.groupby(["group", *strata]).size().rename("images").reset_index()
    # A group with several labels counts for its most frequent one.
    groups = counts.sort_values(["images", *strata], ascending=[False] + [True] * len(strata))
    groups = groups.drop_duplicates("group")
    groups["images"] = groups["group"].map(manifest["group"].value_counts())
    salt = "" if seed is None else f"{seed}\x1f"
    groups["hash"] = [hashlib.sha256(f"{salt}{g}".encode()).hexdigest() for g in groups["group"]]
    groups = groups.sort_values("hash")
    same = groups.groupby(strata)
    middle = same["images"].cumsum() - groups["images"] / 2
    drawn = (middle < share * same["images"].transform("sum")) | (same.cumcount() < FEWEST_GROUPS)
    kept = manifest["group"].isin(groups.loc[drawn, "group"])
    return manifest[kept].reset_index(drop=True)


def _load(data: Data) -> Dataset:
    if data.relabel and data.classes:
        # The source knows labels as they are written.
        written = [old for old, new in data.relabel.items() if new in data.classes]
        data = data.model_copy(update={"classes": [*data.classes, *written]})
    dataset: Dataset = SOURCES.entry(data.source).load(data)
    return dataset


def _undecodable(dataset: Dataset) -> list[Problem]:
    """Problems of images that are not used because no table could hold their names."""
    reader = dataset.reader
    if not isinstance(reader, Files) or not reader.undecodable:
        return []
    if type(reader) is not Files:  # names of DICOM files may tell who the patient is
        what = f"has names that are not UTF-8 text, of {len(reader.undecodable)} files"
        return [Problem(dataset.name, what, "rename them")]
    reported = {problem.where for problem in dataset.problems}
    found = undecodable_names(reader)
    return [problem for problem in found if problem.where not in reported]


def _drawn_splits(dataset: Dataset) -> list[Problem]:
    """A note on splits that the data lack although they give others."""
    given = set(dataset.manifest.get("split", []))
    return [
        Problem(
            f"split {name}",
            "is not given: it is drawn from the training images, by split.fractions",
            "give it, if the data have one of their own",
            fatal=False,
        )
        for name in ("val", "test")
        if given and name not in given
    ]


def _only(dataset: Dataset, classes: list[str]) -> Dataset:
    unknown = [name for name in classes if name not in dataset.classes]
    if unknown:
        meant = [f"'{name}'{did_you_mean(name, dataset.classes)}" for name in unknown]
        raise VitrialError(
            f"data.classes: {dataset.name} has no class {'; '.join(meant)} "
            f"Its classes are {', '.join(dataset.classes)}."
        )
    manifest = dataset.manifest[dataset.manifest["label"].isin(classes)].reset_index(drop=True)
    return replace(dataset, manifest=manifest, classes=list(classes))
