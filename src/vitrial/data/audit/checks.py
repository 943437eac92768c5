"""What is wrong with a data set, all of it at once, and the part that can be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from vitrial.data.audit.duplicates import find_duplicates
from vitrial.data.audit.leakage import (
    contradicting,
    equal_to_later_splits,
    join_groups,
    straddling_groups,
)
from vitrial.data.audit.mask_checks import without_faulty_masks
from vitrial.data.cache import PixelCache, prepare
from vitrial.data.flow import Flow, left_out
from vitrial.data.manifest import FEWEST_GROUPS, Dataset
from vitrial.errors import DataError, Problem
from vitrial.protocol import Image


class Usable(NamedTuple):
    """What can be used of a data set.

    Attributes:
        dataset: Without what cannot be used; its manifest has two more columns: `row` (in the
            cache) and `sha256` (of the file).
        cache: The pixels.
        problems: Everything that is wrong with the data set, or worth knowing.
        flow: How many images are left out, by the reason.
    """

    dataset: Dataset
    cache: PixelCache
    problems: list[Problem]
    flow: Flow


def usable(
    dataset: Dataset,
    image: Image,
    cache_root: Path | None = None,
    on_problem: Literal["stop", "leave_out"] = "stop",
    on_contradiction: Literal["stop", "leave_out", "keep"] = "keep",
) -> Usable:
    """Decode a data set and keep what can be used of it.

    Args:
        dataset: As a source lists it.
        image: How images are prepared.
        cache_root: Where pixel caches lie.
        on_problem: Whether something that cannot be used stops everything or is left out.
        on_contradiction: Whether copies of a picture with different labels stop everything, are
            left out or are kept.

    Returns:
        The data set without images and masks that cannot be used, groups that straddle given
        splits, pictures that a later given split has too, and classes with fewer than 3 groups;
        groups that share a picture, or nearly, are joined.

    Raises:
        DataError: Something cannot be used and `on_problem` is `stop`, labels contradict each other
            and `on_contradiction` is, or less than 2 classes would be left.
    """
    listed, refused = len(dataset.manifest), sum(problem.fatal for problem in dataset.problems)
    cache, found = prepare(dataset, image, cache_root)
    dataset, of_masks = without_faulty_masks(dataset, cache)
    problems = dataset.problems + found + of_masks
    manifest = dataset.manifest.merge(
        cache.index[["image", "sha256"]].assign(row=np.arange(len(cache.index))), on="image"
    )
    remaining = {"cannot be decoded": len(manifest)}
    pairs = find_duplicates(cache)
    joined, copies = join_groups(manifest, pairs, on_contradiction)
    manifest = manifest.assign(joined=joined)
    if on_contradiction == "leave_out":
        manifest = manifest[~contradicting(manifest, pairs)]
    remaining["copies with contradicting labels"] = len(manifest)
    repeated = equal_to_later_splits(manifest, pairs)
    manifest = manifest[~manifest["image"].isin(repeated)]
    remaining["copies of an image of another split"] = len(manifest)
    leaks = straddling_groups(manifest)
    problems += [*copies, *repeated.values(), *leaks.values()]
    manifest = manifest[~manifest["group"].isin(leaks)]
    remaining["of a patient or lesion in several splits"] = len(manifest)
    named = manifest["group"]
    manifest = manifest.assign(group=manifest["joined"]).drop(columns="joined")
    thin = _thin_classes(manifest, dataset.classes)
    problems += thin.values()
    fatal = sum(problem.fatal for problem in problems)
    if any(note.fatal for note in copies) or (fatal and on_problem == "stop"):
        raise DataError(
            f"The data set {dataset.name} has {fatal} problem{'s' * (fatal > 1)}: fix what is "
            "listed, or leave it out with `on_problem: leave_out` under `data`.",
            problems,
        )
    classes = [name for name in dataset.classes if name not in thin]
    if len(classes) < 2:
        raise DataError(
            f"The data set {dataset.name} has fewer than 2 classes that can be used: give every "
            f"class images of at least {FEWEST_GROUPS} patients.",
            problems,
        )
    manifest = manifest[manifest["label"].isin(classes)]
    remaining["of a class with too few patients or lesions"] = len(manifest)
    flow = Flow(
        listed=listed,
        refused=refused,
        left_out=left_out(listed, remaining),
        groups=named[manifest.index].nunique(),
        joined=manifest["group"].nunique(),
    )
    manifest = manifest.reset_index(drop=True)
    kept = replace(dataset, manifest=manifest, classes=classes, problems=problems)
    return Usable(kept, cache, problems, flow)


def _thin_classes(manifest: pd.DataFrame, classes: list[str]) -> dict[str, Problem]:
    groups = manifest.groupby("label")["group"].nunique().reindex(classes, fill_value=0)
    return {
        name: Problem(
            f"class {name}",
            f"has usable images of {count} group{'s' * (count != 1)} (patients, lesions or single "
            "images), too few to be in train, validation and test",
            f"give it images of at least {FEWEST_GROUPS}, or leave it out with data.classes",
        )
        for name, count in zip(classes, groups, strict=True)
        if count < FEWEST_GROUPS
    }
