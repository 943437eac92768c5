"""Reading a pixel cache: any images, verified, and restored where the disk has damaged them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from xxhash import xxh3_64_intdigest

from vitrial.atomic import replacing
from vitrial.data.cache.format import (
    ABOUT,
    CHECKSUM,
    LISTINGS,
    PIXELS,
    header_of,
    read_contents,
    shard_path,
    write_shard,
)
from vitrial.data.io.decoding import Outcome
from vitrial.errors import VitrialError
from vitrial.events import Note, tell

AT_ONCE = 64
"""Images verified at once."""

Decode = Callable[[list[str]], Iterable[Outcome]]
"""Decodes images by their names."""


class DamagedCacheError(VitrialError):
    """A pixel cache whose bytes are not those that were written."""


class PixelCache:
    """Decoded images on disk.

    No open file is held, so that a cache may be pickled, and used after a fork and from several
    threads. Whatever is read is verified.

    Args:
        path: The cache's folder.
        decode: Decodes the images of a damaged shard again; without it, damage is an error. It is
            left out of a pickle.

    Attributes:
        key: 12 hexadecimal digits that name the content: file bytes, names and preparation.
        path: The cache's folder.
        index: One row per image, in the order of the pixels: `image`, `sha256` and `bytes`
            (length) of the file, `width` and `height` in pixels and `mode` as the file has them.
        shape: (n, height, width, channels).

    Raises:
        DamagedCacheError: The folder holds no whole cache of this program.
    """

    def __init__(self, path: Path, decode: Decode | None = None) -> None:
        self.path, self.key = path, path.name
        self._decode = decode
        try:
            contents = read_contents(path)
            self._checksums = contents.index.pop(CHECKSUM).to_numpy()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedCacheError(
                f"The pixel cache {path} is damaged, or of an older version: remove it."
            ) from error
        self.shape, self.index = contents.shape, contents.index
        self._bounds = np.cumsum([0, *contents.shards], dtype=np.int64)
        for shard in range(len(contents.shards)):
            if not self._has_its_size(shard):
                self._restore(shard)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_decode": None}

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Images uint8 (len(rows), height, width, channels), in the order of `rows`.

        A damaged shard is made anew first, with a warning.

        Args:
            rows: Integers in [0, n), in any order, repeated or not.

        Raises:
            IndexError: A row is not in the cache.
            DamagedCacheError: The pixels are not those that were written, and cannot be made anew.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.shape[0]:
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {self.shape[0]} images")
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        of = np.searchsorted(self._bounds, rows, side="right") - 1
        for shard in np.unique(of).tolist():
            places = np.flatnonzero(of == shard)
            if not self._fill(images, places, shard, rows[places]):
                self._restore(shard)
                if not self._fill(images, places, shard, rows[places]):
                    raise self._damage()
        return images

    def content_of(self, rows: np.ndarray) -> str:
        """Changes with any pixel of these images, or their order; by their checksums alone."""
        return hashlib.sha256(self._checksums[rows].astype("<u8").tobytes()).hexdigest()

    def verify(self) -> None:
        """Read every image.

        Raises:
            DamagedCacheError: The pixels are not those that were written, and cannot be made anew.
        """
        for start in range(0, self.shape[0], AT_ONCE):
            self.read(np.arange(start, min(start + AT_ONCE, self.shape[0])))

    def _rows_of(self, shard: int) -> np.ndarray:
        return np.arange(self._bounds[shard], self._bounds[shard + 1])

    def _has_its_size(self, shard: int) -> bool:
        """Whether a shard's file begins as it should, and ends where it should."""
        shape = (int(self._bounds[shard + 1] - self._bounds[shard]), *self.shape[1:])
        path, header = shard_path(self.path, shard) / PIXELS, header_of(shape)
        try:
            with path.open("rb") as file:
                begins = file.read(len(header)) == header
            return begins and path.stat().st_size == len(header) + math.prod(shape)
        except OSError:
            return False

    def _fill(self, images: np.ndarray, places: np.ndarray, shard: int, rows: np.ndarray) -> bool:
        """Read rows of a shard to their places; whether all are as they were written."""
        size, begin = math.prod(self.shape[1:]), len(header_of(self.shape))
        offsets = begin + size * (rows - self._bounds[shard])
        try:
            with (shard_path(self.path, shard) / PIXELS).open("rb", buffering=0) as file:
                for place, offset in zip(places.tolist(), offsets.tolist(), strict=True):
                    file.seek(offset)
                    if file.readinto(images[place]) != size:  # memory may hold them by chance
                        return False
        except OSError:
            return False
        found = (xxh3_64_intdigest(images[place]) for place in places)
        return np.array_equal(np.fromiter(found, np.uint64), self._checksums[rows])

    def _restore(self, shard: int) -> None:
        """Make a shard anew, unless another process or thread has just done that."""
        decode, rows = self._decode, self._rows_of(shard)
        if decode is None:
            raise self._damage()
        (self.path.parent / LISTINGS).mkdir(exist_ok=True)
        with FileLock(self.path.parent / LISTINGS / f"{self.key}.lock"):
            if self._is_whole(shard):
                return
            tell(Note(f"The pixel cache {self.path} is damaged: {len(rows)} images are restored."))
            outcomes = decode(self.index["image"].iloc[rows].tolist())
            images = (o.decoded.pixels for o in outcomes if o.decoded is not None)
            with replacing(shard_path(self.path, shard) / PIXELS) as new:
                if write_shard(new, images, self.shape[1:]) != self._checksums[rows].tolist():
                    (self.path / ABOUT).unlink(
                        missing_ok=True
                    )  # so that the next command makes another
                    raise DamagedCacheError(
                        f"The pixel cache {self.path} is damaged, and the files that it was made "
                        "from have changed since: give the same command again."
                    )

    def _damage(self) -> DamagedCacheError:
        return DamagedCacheError(
            f"The pixel cache {self.path} is damaged: remove it, and check the disk."
        )

    def _is_whole(self, shard: int) -> bool:
        if not self._has_its_size(shard):
            return False
        rows = self._rows_of(shard)
        images = np.empty((min(AT_ONCE, len(rows)), *self.shape[1:]), np.uint8)
        parts = np.split(rows, range(AT_ONCE, len(rows), AT_ONCE))
        return all(self._fill(images, np.arange(len(part)), shard, part) for part in parts)
