"""Decoding a data set shard by shard: several processes share the work, and a kill loses one shard.

A shard is a folder that appears whole, under a name that only one process can give it. Locks spare
processes the work that another is doing already.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from vitrial.atomic import partial_prefix, write_json
from vitrial.data.cache.format import PIXELS, shard_path, shard_size, write_shard
from vitrial.data.io.decoding import Outcome, decode_all
from vitrial.data.manifest import Dataset
from vitrial.errors import Problem
from vitrial.events import counting
from vitrial.protocol import Image

RECORD = "record.json"


@dataclass(frozen=True)
class Shard:
    """What became of some consecutive images of a data set.

    Attributes:
        rows: Of the index, one per image that can be used.
        problems: What is wrong or worth knowing.
        all_read: Whether all files could be read.
        has_dicom: Whether there is a DICOM file among them.
    """

    rows: list[list[Any]]
    problems: list[Problem]
    all_read: bool
    has_dicom: bool


def decode_shards(folder: Path, dataset: Dataset, image: Image) -> dict[int, Path]:
    """Decode every shard that no other process is at, and wait until all are there.

    It ends early where another process has made a cache of them, and the folder is gone.

    Args:
        folder: Where they appear, as folders with their numbers.
        dataset: The images, listed once each.
        image: How they are prepared.

    Returns:
        Where shards wait that have files which could not be read: they are kept for this process
        alone, since others may be able to read them (see `put_in_place`).
    """
    waiting: dict[int, Path] = {}
    left = dict(enumerate(_parts(dataset, image)))
    with counting(f"Preparing {dataset.name}", len(dataset.manifest)) as advance:
        for timeout in (0, -1):  # what nobody is at, and then what others have not ended
            for number, names in [*left.items()]:
                with suppress(Timeout), _claimed(folder, number, timeout) as is_there:
                    if not is_there:
                        return {}
                    del left[number]
                    if shard_path(folder, number).exists():
                        advance(len(names))
                        continue
                    outcomes = _counted(decode_all(names, dataset.reader, image), advance)
                    new = folder / f"{partial_prefix()}{number:05d}"
                    if _write(new, outcomes, image).all_read:
                        put_in_place(new, number)
                    else:
                        waiting[number] = new
    return waiting


@contextmanager
def _claimed(folder: Path, number: int, timeout: float) -> Iterator[bool]:
    """Hold a shard's lock; gives False if the folder is not there any more."""
    try:
        lock = FileLock(folder / f"{number:05d}.lock", timeout=timeout).acquire()
    except FileNotFoundError:
        yield False
        return
    with lock:
        yield folder.exists()


def put_in_place(new: Path, number: int) -> None:
    """Give a shard its name, unless another process was quicker."""
    with suppress(OSError):
        new.rename(shard_path(new.parent, number))


def read_shards(folder: Path, dataset: Dataset, image: Image) -> list[Shard]:
    """What became of the images of a data set, all of whose shards are there."""
    shards = []
    for number in range(len(_parts(dataset, image))):
        record = json.loads((shard_path(folder, number) / RECORD).read_text(encoding="utf-8"))
        problems = [Problem(**problem) for problem in record.pop("problems")]
        shards.append(Shard(problems=problems, **record))
    return shards


def images_left(folder: Path, dataset: Dataset, image: Image) -> int:
    """How many images are in shards that are not there yet."""
    parts = enumerate(_parts(dataset, image))
    return sum(len(names) for number, names in parts if not shard_path(folder, number).exists())


def _parts(dataset: Dataset, image: Image) -> list[list[str]]:
    """The names of the images of each shard."""
    names = dataset.manifest["image"].tolist()
    size = shard_size((image.resize, image.resize, image.channels))
    return [names[start : start + size] for start in range(0, len(names), size)]


def _counted(outcomes: Iterator[Outcome], advance: Callable[[int], None]) -> Iterator[Outcome]:
    for outcome in outcomes:
        yield outcome
        advance(1)


def _write(new: Path, outcomes: Iterator[Outcome], image: Image) -> Shard:
    """Write a shard into a new folder."""
    rows: list[list[Any]] = []
    problems: list[Problem] = []
    all_read, has_dicom = True, False

    def usable() -> Iterator[np.ndarray]:
        nonlocal all_read, has_dicom
        for outcome in outcomes:
            problems.extend(outcome.problems)
            all_read &= outcome.was_read
            has_dicom |= outcome.is_dicom
            if (d := outcome.decoded) is not None:
                file_facts = [outcome.name, outcome.sha256, outcome.length]
                rows.append([*file_facts, d.width, d.height, d.mode])
                yield d.pixels

    new.mkdir(exist_ok=True)
    shape = (image.resize, image.resize, image.channels)
    checksums = write_shard(new / PIXELS, usable(), shape)
    rows = [[*row, checksum] for row, checksum in zip(rows, checksums, strict=True)]
    shard = Shard(rows, problems, all_read, has_dicom)
    write_json(new / RECORD, asdict(shard))
    return shard
