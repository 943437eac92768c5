"""The pixel cache: every image of a data set decoded once, in one file that is read at random."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL
from filelock import FileLock
from xxhash import xxh3_64_intdigest

from vitrial.atomic import partial_prefix, readable, remove_leftovers, write_json
from vitrial.data.io.decode import DECODING, dicom_decoders
from vitrial.data.io.decoding import decode_all
from vitrial.data.manifest import Dataset
from vitrial.errors import Problem, VitrialError
from vitrial.events import Note, tell
from vitrial.protocol import Image, digest

COLUMNS = ("image", "sha256", "bytes", "width", "height", "mode")
CHECKSUM = "checksum"
"""Column of an index besides: xxh3 of each image's pixels, uint64. It takes a seventh of crc32's
time (benchmarks/cache.py), so that every reading can be verified."""
PIXELS, INDEX, ABOUT = "pixels.npy", "index.parquet", "about.json"
"""The files of a cache, in the order in which they are written; the last proves the index whole."""
LISTINGS = "listings"
"""The folder of listings, which say which cache files lead to."""
AT_ONCE = 64
"""Images verified at once."""


class DamagedCacheError(VitrialError):
    """A pixel cache whose bytes are not those that were written."""


class PixelCache:
    """Decoded images on disk.

    The file is memory-mapped while a batch is read. No open file and no mapping is held, so that a
    cache may be pickled, and used after a fork and from several threads. Whatever is read is
    verified.

    Args:
        path: The cache's folder.
        remake: Makes the cache anew and returns its folder; without it, damage is an error. It is
            left out of a pickle.

    Attributes:
        key: 12 hexadecimal digits that name the content: file bytes, names and preparation.
        path: The cache's folder.
        index: One row an image, in the order of the pixels: `image`, `sha256` and `bytes`
            (length) of the file, `width` and `height` in pixels and `mode` as the file has them.
        shape: (n, height, width, channels).

    Raises:
        DamagedCacheError: The folder holds no whole cache of this program.
    """

    def __init__(self, path: Path, remake: Callable[[], Path] | None = None) -> None:
        self.path, self.key = path, path.name
        self._remake = remake
        try:
            about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
            n, height, width, channels = about["shape"]
            self.shape = (n, height, width, channels)
            content = (path / INDEX).read_bytes()
            if hashlib.sha256(content).hexdigest() != about["index"]:
                raise ValueError("the index has changed")
            self.index = pd.read_parquet(io.BytesIO(content))
            self._checksums = self.index.pop(CHECKSUM).to_numpy()
            self._mapped()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedCacheError(
                f"The pixel cache {path} is damaged, or of an older version: remove it."
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_remake": None}

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Images uint8 (len(rows), height, width, channels), in the order of `rows`.

        A damaged cache is rebuilt first, with a warning.

        Args:
            rows: Integers in [0, n), in any order, repeated or not.

        Raises:
            IndexError: A row is not in the cache.
            DamagedCacheError: The pixels are not those that were written, and cannot be made anew.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.shape[0]:
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {self.shape[0]} images")
        try:
            return self._verified(rows)
        except DamagedCacheError:
            if self._remake is None:
                raise
        self._restore(rows, self._remake)
        return self._verified(rows)

    def content_of(self, rows: np.ndarray) -> str:
        """Changes with any pixel of these images, or their order; by their checksums alone."""
        return hashlib.sha256(self._checksums[rows].astype("<u8").tobytes()).hexdigest()

    def verify(self) -> None:
        """Read every image.

        Raises:
            DamagedCacheError: The pixels are not those that were written.
        """
        for start in range(0, self.shape[0], AT_ONCE):
            self._verified(np.arange(start, min(start + AT_ONCE, self.shape[0])))

    def _mapped(self) -> np.ndarray:
        header = header_of(self.shape)
        with (self.path / PIXELS).open("rb") as file:
            if file.read(len(header)) != header:
                raise ValueError("the header has changed")
        return np.memmap(self.path / PIXELS, np.uint8, "r", len(header), self.shape)

    def _verified(self, rows: np.ndarray) -> np.ndarray:
        try:
            # Mapped for this call alone: pages of a mapping that stays count as this process's
            # memory, until the whole file does. They remain in the system's cache all the same.
            images = np.asarray(self._mapped()[rows])
        except (OSError, ValueError) as error:
            raise DamagedCacheError(
                f"The pixel cache {self.path} is damaged: remove it."
            ) from error
        found = np.fromiter(map(xxh3_64_intdigest, images), np.uint64, len(images))
        if damaged := np.count_nonzero(found != self._checksums[rows]):
            raise DamagedCacheError(
                f"In the pixel cache {self.path} {damaged} of {len(rows)} images are not as they "
                "were written: remove it, and check the disk."
            )
        return images

    def _restore(self, rows: np.ndarray, remake: Callable[[], Path]) -> None:
        """Make the cache anew, unless another process or thread has just done that."""
        (self.path.parent / LISTINGS).mkdir(exist_ok=True)
        with FileLock(self.path.parent / LISTINGS / f"{self.key}.lock"):
            with suppress(DamagedCacheError):
                self._verified(rows)
                return
            _say_damaged(self.path)
            if remake() != self.path:
                raise DamagedCacheError(
                    f"The pixel cache {self.path} is damaged, and the files that it was made from "
                    "have changed since: give the same command again."
                )


def prepare(
    dataset: Dataset, image: Image, root: Path | None = None
) -> tuple[PixelCache, list[Problem]]:
    """Decode a data set into a pixel cache, or find the cache made before.

    Files are read, hashed and decoded in one pass, by several threads. What was prepared before
    is found by the files' stamps, without reading them. Several processes may prepare the same
    data set at once, and may be killed at any time. A damaged cache is rebuilt, at once or when
    the damage is met.

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
    root = (root or default_root()).resolve()

    def make() -> tuple[Path, list[Problem]]:
        return _make(dataset, image, root)

    path, problems = _find(dataset, image, root) or make()
    return PixelCache(path, lambda: make()[0]), problems


def default_root() -> Path:
    """Where caches lie if nobody says: `$VITRIAL_CACHE` or `~/.cache/vitrial`."""
    return Path(os.environ.get("VITRIAL_CACHE") or "~/.cache/vitrial").expanduser()


def _find(dataset: Dataset, image: Image, root: Path) -> tuple[Path, list[Problem]] | None:
    """The cache that a listing of files led to before, where there still is one."""
    try:
        found = json.loads(_listing(dataset, image, root).read_text(encoding="utf-8"))
        path, problems = root / found["key"], [Problem(**problem) for problem in found["problems"]]
        if found["decoders"] not in ({}, dicom_decoders()):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    try:
        PixelCache(path)
    except DamagedCacheError:
        if path.exists():
            _say_damaged(path)
        return None
    return path, problems


def _listing(dataset: Dataset, image: Image, root: Path) -> Path:
    """Where it is written which cache a data set's files lead to, as their stamps are now."""

    def stamp(name: str) -> str:
        try:
            return dataset.reader.stamp(name)
        except (OSError, VitrialError):
            return "unreadable"

    stamps = [(name, stamp(name)) for name in dataset.manifest["image"]]
    return root / LISTINGS / f"{digest([_preparation(image), stamps])}.json"


def _preparation(image: Image) -> list[Any]:
    """All that decides an image's pixels besides its file and, of DICOM, its decoders."""
    return [DECODING, PIL.__version__, image.model_dump(mode="json")]


def _make(dataset: Dataset, image: Image, root: Path) -> tuple[Path, list[Problem]]:
    """Decode a data set into a new cache, and put it to where its content belongs."""
    listing = _listing(dataset, image, root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        _check_space(root, len(dataset.manifest), image)
        remove_leftovers(root)
        with tempfile.TemporaryDirectory(dir=root, prefix=partial_prefix()) as folder:
            new = Path(folder) / "new"
            written = _write(new, dataset, image)
            contents = written.index[["image", "sha256"]].to_numpy().tolist()
            parts = [_preparation(image), contents]
            decoders = dicom_decoders() if written.has_dicom else {}
            path = root / digest([*parts, decoders] if decoders else parts)
            _publish(new, path)
        if written.all_read:
            # What could not be read may be readable next time, with the same stamp.
            problems = [asdict(problem) for problem in written.problems]
            facts = {"key": path.name, "decoders": decoders, "problems": problems}
            write_json(listing, facts)
    except OSError as error:
        reason = error.strerror or error
        raise VitrialError(f"The pixel cache in {root} cannot be written: {reason}.") from error
    return path, written.problems


@dataclass(frozen=True)
class _Written:
    """What became of a data set: the index of the cache; whether all files could be read."""

    index: pd.DataFrame
    problems: list[Problem]
    all_read: bool
    has_dicom: bool


def _write(folder: Path, dataset: Dataset, image: Image) -> _Written:
    """Write a cache into a new folder."""
    folder.mkdir()
    rows, problems, all_read, has_dicom = [], [], True, False
    side = image.resize
    with (folder / PIXELS).open("wb") as file:
        # How many images can be used is known at the end; the header has room for any number.
        file.write(header_of((len(dataset.manifest), side, side, image.channels)))
        for outcome in decode_all(dataset, image):
            problems += outcome.problems
            all_read &= outcome.was_read
            has_dicom |= outcome.is_dicom
            if outcome.decoded is not None:
                file.write(outcome.decoded.pixels.data)
                d = outcome.decoded
                file_facts = (outcome.name, outcome.sha256, outcome.length)
                checksum = xxh3_64_intdigest(d.pixels.data)
                rows.append((*file_facts, d.width, d.height, d.mode, checksum))
        shape = (len(rows), side, side, image.channels)
        file.seek(0)
        file.write(header_of(shape))
        file.flush()
        os.fsync(file.fileno())
    index = pd.DataFrame(rows, columns=[*COLUMNS, CHECKSUM]).astype({CHECKSUM: np.uint64})
    facts = {"dataset": dataset.name, "image": image.model_dump(mode="json")}
    seal(folder, index, shape, facts)
    return _Written(index, problems, all_read, has_dicom)


def header_of(shape: tuple[int, ...]) -> bytes:
    """What stands before the pixels, in the format of numpy."""
    header = io.BytesIO()
    facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, facts)
    return header.getvalue()


def seal(folder: Path, index: pd.DataFrame, shape: tuple[int, ...], facts: dict[str, Any]) -> None:
    """Write a cache's index, with its checksums, and what proves the index itself whole."""
    index.to_parquet(folder / INDEX)
    sha256 = hashlib.sha256((folder / INDEX).read_bytes()).hexdigest()
    write_json(folder / ABOUT, {**facts, "shape": shape, "index": sha256})


def _publish(new: Path, path: Path) -> None:
    """Move a finished cache to its place, unless a sound one is there.

    A damaged one is replaced file by file: who reads the old files goes on doing so.
    """
    try:
        new.rename(path)
    except OSError:
        try:
            PixelCache(path).verify()
        except DamagedCacheError:
            for name in (PIXELS, INDEX, ABOUT):
                (new / name).replace(path / name)


def _say_damaged(path: Path) -> None:
    tell(Note(f"The pixel cache {path} is damaged: it is rebuilt."))


def _check_space(root: Path, n: int, image: Image) -> None:
    needed = n * (image.resize**2 * image.channels + 1024)
    free = shutil.disk_usage(root).free
    if needed > free:
        raise VitrialError(
            f"The pixel cache needs {readable(needed)} in {root}, where {readable(free)} are free: "
            "make room, or name another place with VITRIAL_CACHE."
        )
