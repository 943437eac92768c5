"""Masks that cannot show where a lesion is: damaged, another shape than the image, empty, full."""

from __future__ import annotations

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace

from PIL import Image as Pillow

from vitrial.atomic import write_json
from vitrial.data.cache import PixelCache
from vitrial.data.io.decode import FORMATS, ORIENTATION
from vitrial.data.io.masks import SEPARATOR, is_resized, read_mask
from vitrial.data.io.quiet import quiet
from vitrial.data.manifest import Dataset, Reader
from vitrial.errors import Problem, VitrialError
from vitrial.events import counted
from vitrial.protocol import digest

METHOD = 1
"""Raised with every change of what is found: results of another method are not used."""
FULL = 0.99
"""Share of an image beyond which its mask is said to cover all of it: 4 of the 10,015 masks of
HAM10000 cover more, 2 of them all (benchmarks/masks.py). A small share is no sign of a fault."""
LYING = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""

Size = tuple[int, int]
"""Width and height in pixels."""


def without_faulty_masks(dataset: Dataset, cache: PixelCache) -> tuple[Dataset, list[Problem]]:
    """Check the masks of the images in a cache.

    What was found is kept in the cache's folder for the next time, as long as no file changes.

    Args:
        dataset: As a source lists it.
        cache: Its images.

    Returns:
        The data set without masks that are damaged or of another shape than their image, each a
        problem; these problems; and notes on masks that mark nothing or all of the image.
    """
    manifest = dataset.manifest
    if "mask" not in manifest:
        return dataset, []
    table = manifest[["image", "mask"]].dropna()
    table = table.merge(cache.index[["image", "width", "height"]], on="image")
    rows = list(table.itertuples(index=False, name=None))
    stamps = [[_stamp(dataset.reader, name) for name in row[1].split(SEPARATOR)] for row in rows]
    path = cache.path / f"masks-{digest([METHOD, rows, stamps])}.json"
    try:
        problems = [Problem(**found) for found in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        problems = _check_all(rows, dataset.reader)
        with suppress(OSError):  # a cache may be read-only
            write_json(path, [asdict(problem) for problem in problems])
    unusable = manifest["image"].isin({problem.where for problem in problems if problem.fatal})
    kept = manifest.assign(mask=manifest["mask"].mask(unusable, None))
    return replace(dataset, manifest=kept), problems


def check_mask(reader: Reader, image: str, mask: str, size: Size) -> Problem | None:
    """What is wrong with the mask of an image, if anything is.

    A mask may have another resolution than its image, but not another width / height.

    Args:
        reader: Of the data set.
        image: The image's path.
        mask: As in a manifest: paths joined by `|`.
        size: The image's, as its file has it, before it is turned.
    """
    shares = []
    for name in mask.split(SEPARATOR):
        try:
            lesion = read_mask(reader, name)
        except VitrialError as error:
            what = f"has a mask that cannot be used: {error}"
            return Problem(image, what, "replace the mask, or name none")
        shape, upright = lesion.shape[::-1], _upright(reader, image, size)
        if not is_resized(shape, upright):
            what = (
                f"has a mask of another shape: '{name}' has {shape[0]} x {shape[1]} pixels, the "
                f"image {upright[0]} x {upright[1]}"
            )
            return Problem(image, what, "give it a mask of this image, of all of it, or none")
        shares.append(lesion.mean())
    if max(shares) == 0:
        what, fix = "has an empty mask", "name no mask if there is no lesion"
        return Problem(image, what, fix, fatal=False)
    if max(shares) > FULL:
        what = f"has a mask that covers more than {FULL:.0%} of it"
        return Problem(image, what, "look at it: it may be inverted, or a crop's", fatal=False)
    return None


def _check_all(rows: list[tuple[str, str, int, int]], reader: Reader) -> list[Problem]:
    """The problems of images, each given with its mask, width and height."""
    with ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 2)) as pool:
        found = pool.map(lambda row: check_mask(reader, row[0], row[1], (row[2], row[3])), rows)
        checked = counted(found, "Checking masks", len(rows))
        return [problem for problem in checked if problem is not None]


def _upright(reader: Reader, image: str, size: Size) -> Size:
    """The size of an image once it is turned as its EXIF orientation says, as masks are."""
    if size[0] == size[1]:
        return size
    try:
        with quiet(), Pillow.open(io.BytesIO(reader.read(image)), formats=FORMATS) as picture:
            lies = picture.getexif().get(ORIENTATION) in LYING
    except Exception:  # a DICOM file, or damaged EXIF: `decode` turns neither
        return size
    return size[::-1] if lies else size


def _stamp(reader: Reader, name: str) -> str:
    try:
        return reader.stamp(name)
    except (OSError, VitrialError):
        return "unreadable"
