"""A data set made ready for training: checked, cached, divided, its statistics known."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from vitrial.atomic import write_text
from vitrial.data.audit.checks import usable
from vitrial.data.batches import CachedImages, Part, UnlabeledImages
from vitrial.data.cache import PixelCache
from vitrial.data.flow import Flow
from vitrial.data.held_out import without_held_out
from vitrial.data.order import require_order
from vitrial.data.sources import draw_groups, load_dataset
from vitrial.data.split import require_stratify, split_hash, split_manifest
from vitrial.errors import Problem
from vitrial.protocol import Data, Image, Split, digest
from vitrial.tasks import TASKS


@dataclass(frozen=True)
class Prepared:
    """A data set ready for training.

    Attributes:
        name: Of the data set.
        manifest: Columns `image`, `label`, `group`, `split`, `row` (in the cache), `target` (class
            index) and the data set's metadata.
        classes: Class names, by class index.
        cache: The pixels.
        mean: Of the training split's pixels, for each channel, in [0, 1].
        std: Likewise.
        problems: What was left out, and notes on what was used.
        further: Images without labels, for self-supervision.
        has_files: Whether the images are files of the user's: see `Dataset`.
        flow: How many images the source lists, and how many are left out for which reason.
        labeled: Rows of the cache of the training images whose labels are used; None for all.
    """

    name: str
    manifest: pd.DataFrame
    classes: list[str]
    cache: PixelCache
    mean: tuple[float, ...]
    std: tuple[float, ...]
    problems: list[Problem]
    further: list[Part] = field(default_factory=list)
    has_files: bool = True
    flow: Flow | None = None
    labeled: np.ndarray | None = None

    def rows_of(self, split: str) -> pd.DataFrame:
        """The manifest of one split; of `train`, the images whose labels are used."""
        part = self.manifest[self.manifest["split"] == split]
        if split == "train" and self.labeled is not None:
            part = part[part["row"].isin(self.labeled)]
        return part

    def training_fraction(self, share: float, seed: int) -> Prepared:
        """The same data with fewer training images: about this share of them, in whole groups.

        Each class keeps its share, and with one seed a larger share holds the images of a smaller
        one. Mean and standard deviation are those of the images that are left.
        """
        is_training = self.manifest["split"] == "train"
        training = self.manifest[is_training]
        drawn = draw_groups(training, round(share * len(training)), seed)
        kept = ~is_training | self.manifest["row"].isin(drawn["row"])
        mean, std = pixel_statistics(self.cache, drawn["row"].to_numpy())
        return replace(self, manifest=self.manifest[kept], mean=mean, std=std)

    def labeled_subset(self, share: float, seed: int) -> Prepared:
        """The same data with fewer labels: about this share of the training images keep theirs.

        Whole groups are drawn, each class by its share. With one seed, a larger share adds labels
        to those of a smaller one.
        """
        training = self.manifest[self.manifest["split"] == "train"]
        drawn = draw_groups(training, round(share * len(training)), seed)
        return replace(self, labeled=drawn["row"].to_numpy(copy=True))

    def images_of(self, split: str) -> CachedImages:
        """The images and targets of one split."""
        part = self.rows_of(split)
        return CachedImages(
            self.cache, part["row"].to_numpy(copy=True), part["target"].to_numpy(copy=True)
        )

    def without_labels(self) -> UnlabeledImages:
        """All that self-supervision may see: the training images, and further ones."""
        training = self.manifest.loc[self.manifest["split"] == "train", "row"]
        return UnlabeledImages([(self.cache, training.to_numpy(copy=True)), *self.further])

    def held_out(self) -> Part:
        """The validation and test images, which nothing may be learned from."""
        rows = self.manifest.loc[self.manifest["split"] != "train", "row"]
        return self.cache, rows.to_numpy(copy=True)

    def split_hash(self) -> str:
        """Changes with any image's split."""
        return split_hash(self.manifest["image"].tolist(), self.manifest["split"].tolist())

    def fingerprint(self) -> str:
        """Changes with any pixel, label, group or split that a run could see, or their order.

        Whatever gives the same pixels, such as another Pillow, leaves it as it is. Further images
        without labels are no part of it (see `UnlabeledImages.fingerprint`), nor is which labels a
        run uses (see `labeled_subset`).
        """
        table = self.manifest[["image", "target", "group", "split"]].to_numpy().tolist()
        pixels = self.cache.content_of(self.manifest["row"].to_numpy())
        return digest([self.cache.shape[1:], pixels, self.classes, table])


def prepare_data(
    data: Data,
    split: Split,
    image: Image,
    cache_root: Path | None,
    held_out: Part | None = None,
    graded_by: str | None = None,
) -> Prepared:
    """Load a data set, decode it into the pixel cache and divide it.

    Args:
        data: Which data set.
        split: How it is divided.
        image: How images are prepared.
        cache_root: Where pixel caches lie.
        held_out: Images that must not be used, nor copies of them: the trial's `held_out`.
        graded_by: The endpoint, if it grades by the order of the classes.

    Raises:
        DataError: Something in the data set is wrong, with everything that is.
        VitrialError: The data set cannot be read, or its classes are in no order.
    """
    listed = load_dataset(data)
    if graded_by is not None:
        require_order(listed, data, graded_by)
    require_stratify(listed.manifest, split)  # before hours of decoding
    dataset, cache, problems, flow = usable(
        listed, image, cache_root, data.on_problem, data.on_contradiction
    )
    manifest = dataset.manifest
    part = (cache, manifest["row"].to_numpy(copy=True))
    (_, rows), notes = without_held_out(part, held_out, dataset.name)
    manifest, problems = manifest[manifest["row"].isin(rows)], problems + notes
    manifest = manifest.assign(split=split_manifest(manifest, split))
    task = TASKS["multiclass" if graded_by is None else "ordered"]
    manifest["target"] = task.targets(manifest["label"], dataset.classes)
    training = manifest[manifest["split"] == "train"]
    mean, std = pixel_statistics(cache, training["row"].to_numpy())
    return Prepared(
        dataset.name,
        manifest,
        dataset.classes,
        cache,
        mean,
        std,
        problems,
        has_files=dataset.has_files,
        flow=flow,
    )


def pixel_statistics(
    cache: PixelCache, rows: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, in [0, 1], exact and independent of order."""
    histogram = level_counts(cache, rows)
    values = np.arange(256) / 255
    share = histogram / histogram.sum(axis=1, keepdims=True)
    mean = share @ values
    # A constant channel must not divide by zero.
    std = np.sqrt(np.maximum(share @ values**2 - mean**2, 1e-6))
    return tuple(mean.tolist()), tuple(std.tolist())


def level_counts(cache: PixelCache, rows: np.ndarray) -> np.ndarray:
    """How often each channel of some images has each level, int64 (channels, 256).

    They are kept in the cache's folder, since every process that trains asks for them.
    """
    n, channels = len(rows), cache.shape[-1]
    path = cache.path / f"levels-{cache.content_of(np.sort(rows))[:12]}.json"
    with suppress(OSError, ValueError):
        counts = np.array(json.loads(path.read_text()), dtype=np.int64)
        if counts.sum() == n * math.prod(cache.shape[1:]):
            return counts
    counts = np.zeros((channels, 256), dtype=np.int64)
    for chunk in np.array_split(rows, -(-n // 64)):
        pixels = cache.read(chunk).reshape(-1, channels)
        for channel in range(channels):
            counts[channel] += np.bincount(pixels[:, channel], minlength=256)
    with suppress(OSError):  # a cache may be read-only
        write_text(path, json.dumps(counts.tolist()))
    return counts
