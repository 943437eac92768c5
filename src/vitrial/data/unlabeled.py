"""Images without labels, for self-supervision alone."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from vitrial.data.batches import Part
from vitrial.data.cache import prepare
from vitrial.data.held_out import without_held_out
from vitrial.data.io.files import Files
from vitrial.data.io.hidden_names import hide_names
from vitrial.data.manifest import Dataset
from vitrial.data.sources.folder import list_images
from vitrial.errors import DataError, Problem
from vitrial.protocol import Image


def prepare_unlabeled(
    root: Path,
    image: Image,
    cache_root: Path | None = None,
    *,
    on_problem: Literal["stop", "leave_out"] = "stop",
    held_out: Part | None = None,
    key: str = "unlabeled",
) -> tuple[Part, list[Problem]]:
    """Decode every image below a folder or .zip, whatever the folders in it are called.

    If there are DICOM files, all files go by other names: see `hide_names`.

    Args:
        root: The folder or .zip.
        image: How images are prepared.
        cache_root: Where pixel caches lie.
        on_problem: Whether an image that cannot be used stops everything or is left out.
        held_out: The trial's validation and test images: neither they nor copies are used.
        key: What the user calls `root`, for errors.

    Returns:
        The pixel cache with the rows to use, and what is wrong or worth knowing.

    Raises:
        DataError: An image cannot be used and `on_problem` is `stop`, or none is left.
    """
    files = Files(root)
    names, problems = list_images(files, key)
    manifest = pd.DataFrame({"image": names}, dtype=str)
    dataset = hide_names(Dataset(files.root.stem, manifest, [], files, problems))
    cache, found = prepare(dataset, image, cache_root)
    problems = dataset.problems + found
    fatal = sum(problem.fatal for problem in problems)
    if fatal and on_problem == "stop":
        raise DataError(
            f"{fatal} of the images in {root} cannot be used: fix what is listed, or move it "
            "out of the folder.",
            problems,
        )
    part, notes = without_held_out((cache, np.arange(len(cache.index))), held_out, str(root))
    problems += notes
    if len(part[1]) < 2:
        raise DataError(f"Fewer than 2 images in {root} can be used: name another.", problems)
    return part, problems
