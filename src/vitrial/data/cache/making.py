"""Finding the pixel cache of a data set, or making it, together with other processes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL
from filelock import FileLock

from vitrial.atomic import PARTIAL, readable, remove, remove_leftovers, write_json
from vitrial.data.cache.format import CHECKSUM, COLUMNS, LISTINGS, seal
from vitrial.data.cache.pixels import DamagedCacheError, PixelCache
from vitrial.data.cache.shards import decode_shards, images_left, put_in_place, read_shards
from vitrial.data.io.decode import DECODING, dicom_decoders
from vitrial.data.io.decoding import decode_all
from vitrial.data.manifest import Dataset
from vitrial.errors import Problem, VitrialError
from vitrial.events import Note, tell
from vitrial.protocol import Image, digest

Found = tuple[PixelCache, list[Problem]]


def prepare(dataset: Dataset, image: Image, root: Path | None = None) -> Found:
    """Decode a data set into a pixel cache, or find the cache made before.

    Files are read, hashed and decoded in one pass, by several threads. What was prepared before
    is found by the files' stamps, without reading them. Processes that prepare the same data set
    at once, on whatever machines that share `root`, share the work; one that was killed loses a
    shard. A damaged cache is made anew, at once or when the damage is met.

    Args:
        dataset: The images, listed once each.
        image: How they are prepared.
        root: Where caches lie; `$VITRIAL_CACHE` or `~/.cache/vitrial` if left out.

    Returns:
        The cache, its images in the order of the manifest without those that cannot be used; and
        these, with notes on others.

    Raises:
        VitrialError: The cache cannot be written.
    """
    making = _Making(dataset, image, (root or default_root()).resolve())
    try:
        return making.found() or making.made()
    except OSError as error:
        reason = error.strerror or error
        raise VitrialError(
            f"The pixel cache in {making.root} cannot be written: {reason}."
        ) from error


def default_root() -> Path:
    """Where caches lie if nobody says: `$VITRIAL_CACHE` or `~/.cache/vitrial`."""
    return Path(os.environ.get("VITRIAL_CACHE") or "~/.cache/vitrial").expanduser()


class _Making:
    """The cache of a data set below `root`, found or made."""

    def __init__(self, dataset: Dataset, image: Image, root: Path) -> None:
        self.dataset, self.image, self.root = dataset, image, root
        listed = digest([_preparation(image), _stamps(dataset)])
        # Says which cache a data set's files lead to, as their stamps are now.
        self.listing = root / LISTINGS / f"{listed}.json"
        # Where its shards appear while several processes may be at work on them.
        self.folder = root / f"{PARTIAL}{digest([listed, dicom_decoders()])}"

    def found(self) -> Found | None:
        """The cache that the listing leads to, where there still is one."""
        try:
            found = json.loads(self.listing.read_text(encoding="utf-8"))
            path = self.root / found["key"]
            problems = [Problem(**problem) for problem in found["problems"]]
            if found["decoders"] not in ({}, dicom_decoders()):
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        try:
            return self._open(path), problems
        except DamagedCacheError:
            if path.exists():
                why = "is damaged, or of an older version"
                tell(Note(f"The pixel cache {path} {why}: it is rebuilt."))
            return None

    def made(self) -> Found:
        """A new cache, made together with whoever else is at it."""
        self.listing.parent.mkdir(parents=True, exist_ok=True)
        self.listing.unlink(missing_ok=True)
        while True:
            self.folder.mkdir(exist_ok=True)
            os.utime(self.folder)  # what was begun long ago and is taken up again is no leftover
            remove_leftovers(self.root, self.folder)
            self._check_space()
            waiting = decode_shards(self.folder, self.dataset, self.image)
            with FileLock(self.listing.with_suffix(".lock")):
                if found := self.found():  # another process was the last to end a shard
                    return found
                if self.folder.exists():
                    for number, new in waiting.items():
                        put_in_place(new, number)
                    return self._sealed()
            # What another process has made lacks files that it could not read.

    def _sealed(self) -> Found:
        """The cache of all shards, which lie in the folder."""
        shards = read_shards(self.folder, self.dataset, self.image)
        rows = [row for shard in shards for row in shard.rows]
        index = pd.DataFrame(rows, columns=[*COLUMNS, CHECKSUM]).astype({CHECKSUM: np.uint64})
        facts = {"dataset": self.dataset.name, "image": self.image.model_dump(mode="json")}
        side, lengths = self.image.resize, [len(shard.rows) for shard in shards]
        seal(self.folder, index, lengths, (side, side, self.image.channels), facts)
        has_dicom = any(shard.has_dicom for shard in shards)
        decoders = dicom_decoders() if has_dicom else {}
        contents = index[["image", "sha256"]].to_numpy().tolist()
        parts = [_preparation(self.image), contents]
        path = self.root / digest([*parts, decoders] if decoders else parts)
        problems = [problem for shard in shards for problem in shard.problems]
        cache = self._published(path)
        if all(shard.all_read for shard in shards):
            # What could not be read may be readable next time, with the same stamp.
            given = [asdict(problem) for problem in problems]
            write_json(self.listing, {"key": path.name, "decoders": decoders, "problems": given})
        return cache, problems

    def _published(self, path: Path) -> PixelCache:
        """Move the finished cache to its place, unless a sound one is there."""
        for left in (*self.folder.glob("*.lock"), *self.folder.glob(f"{PARTIAL}*")):
            remove(left)
        try:
            self.folder.rename(path)
        except OSError:
            try:
                cache = self._open(path)
                cache.verify()
            except DamagedCacheError:
                remove(path)
                self.folder.rename(path)
            else:
                remove(self.folder)
                return cache
        return self._open(path)

    def _open(self, path: Path) -> PixelCache:
        return PixelCache(path, partial(decode_all, reader=self.dataset.reader, image=self.image))

    def _check_space(self) -> None:
        left = images_left(self.folder, self.dataset, self.image)
        needed = left * (self.image.resize**2 * self.image.channels + 1024)
        free = shutil.disk_usage(self.root).free
        if needed > free:
            raise VitrialError(
                f"The pixel cache needs {readable(needed)} in {self.root}, where {readable(free)} "
                "are free: make room, or name another place with VITRIAL_CACHE."
            )


def _stamps(dataset: Dataset) -> list[tuple[str, str]]:
    """Each file's name, and what changes when its content may have changed."""

    def stamp(name: str) -> str:
        try:
            return dataset.reader.stamp(name)
        except (OSError, VitrialError):
            return "unreadable"

    return [(name, stamp(name)) for name in dataset.manifest["image"]]


def _preparation(image: Image) -> list[Any]:
    """All that decides an image's pixels besides its file and, of DICOM, its decoders."""
    return [DECODING, PIL.__version__, image.model_dump(mode="json")]
