"""The pixel cache: every image of a data set decoded once, in one file that is read at random."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import PIL
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vitrial.atomic import partial_prefix, remove_leftovers, write_json
from vitrial.data.decode import DECODING, Decoded, DecodeError, decode
from vitrial.data.manifest import Dataset, Reader
from vitrial.errors import Problem, VitrialError
from vitrial.protocol import Image, digest

COLUMNS = ("image", "sha256", "bytes", "width", "height", "mode")


class PixelCache:
    """Decoded images on disk.

    The file is memory-mapped while a batch is read. No open file and no mapping is held, so that a
    cache may be pickled, and used after a fork and from several threads.

    Args:
        path: The cache's folder.

    Attributes:
        key: 12 hexadecimal digits that name the content: file bytes, names and preparation.
        path: The cache's folder.
        index: One row an image, in the order of the pixels: `image`, `sha256` and `bytes`
            (length) of the file, `width` and `height` in pixels and `mode` as the file has them.
        shape: (n, height, width, channels).

    Raises:
        VitrialError: The folder holds no whole cache.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.key = path, path.name
        self._pixels = path / "pixels.npy"
        try:
            with self._pixels.open("rb") as file:
                np.lib.format.read_magic(file)
                shape, _, _ = np.lib.format.read_array_header_1_0(file)
                start = file.tell()
            n, height, width, channels = shape
            self.shape = (n, height, width, channels)
            whole = start + int(np.prod(shape)) == self._pixels.stat().st_size
            self.index = pd.read_parquet(path / "index.parquet")
        except (OSError, ValueError) as error:
            raise VitrialError(f"The pixel cache {path} is damaged: remove it.") from error
        # An index with other columns is of an older program.
        if not whole or len(self.index) != n or tuple(self.index.columns) != COLUMNS:
            raise VitrialError(f"The pixel cache {path} is not whole: remove it.")

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Images uint8 (len(rows), height, width, channels), in the order of `rows`.

        Args:
            rows: Integers in [0, n), in any order, repeated or not.

        Raises:
            IndexError: A row is not in the cache.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.shape[0]:
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {self.shape[0]} images")
        # Mapped for this call alone: pages of a mapping that stays count as this process's memory,
        # until the whole file does. They remain in the system's cache all the same.
        images: np.ndarray = np.load(self._pixels, mmap_mode="r")[rows]
        return np.asarray(images)


def prepare(
    dataset: Dataset, image: Image, root: Path | None = None
) -> tuple[PixelCache, list[Problem]]:
    """Decode a data set into a pixel cache, or find the cache made before.

    Files are read, hashed and decoded in one pass, by several threads. What was prepared before
    is found by the files' stamps, without reading them. Several processes may prepare the same
    data set at once, and may be killed at any time.

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
    names = dataset.manifest["image"].tolist()
    preparation = [DECODING, PIL.__version__, image.model_dump(mode="json")]
    listing = root / "listings" / f"{_listing_key(preparation, names, dataset.reader)}.json"
    if found := _find(root, listing):
        return found
    try:
        root.mkdir(parents=True, exist_ok=True)
        _check_space(root, len(names), image)
        remove_leftovers(root)
        with tempfile.TemporaryDirectory(dir=root, prefix=partial_prefix()) as folder:
            new = Path(folder) / "new"
            index, problems, all_read = _write(new, dataset, image)
            contents = index[["image", "sha256"]].to_numpy().tolist()
            path = _publish(new, root / digest([preparation, contents]))
        if all_read:
            # What could not be read may be readable next time, with the same stamp.
            write_json(listing, {"key": path.name, "problems": [asdict(p) for p in problems]})
    except OSError as error:
        reason = error.strerror or error
        raise VitrialError(f"The pixel cache in {root} cannot be written: {reason}.") from error
    return PixelCache(path), problems


def default_root() -> Path:
    """Where caches lie if nobody says: `$VITRIAL_CACHE` or `~/.cache/vitrial`."""
    return Path(os.environ.get("VITRIAL_CACHE") or "~/.cache/vitrial").expanduser()


def _find(root: Path, listing: Path) -> tuple[PixelCache, list[Problem]] | None:
    """The cache that a listing of files led to before, where there still is one."""
    try:
        found = json.loads(listing.read_text(encoding="utf-8"))
        problems = [Problem(**problem) for problem in found["problems"]]
        return PixelCache(root / found["key"]), problems
    except (OSError, ValueError, KeyError, TypeError, VitrialError):
        return None


def _listing_key(preparation: list[Any], names: list[str], reader: Reader) -> str:
    def stamp(name: str) -> str:
        try:
            return reader.stamp(name)
        except (OSError, VitrialError):
            return "unreadable"

    return digest([preparation, [(name, stamp(name)) for name in names]])


def _write(
    folder: Path, dataset: Dataset, image: Image
) -> tuple[pd.DataFrame, list[Problem], bool]:
    """Write a cache into a new folder.

    Returns:
        Its index, what is wrong or worth knowing, and whether every file could be read.
    """
    folder.mkdir()
    rows, problems, all_read = [], [], True
    side = image.resize
    with (folder / "pixels.npy").open("wb") as file:
        # How many images can be used is known at the end; the header has room for any number.
        _write_header(file, (len(dataset.manifest), side, side, image.channels))
        for outcome in _decode_all(dataset, image):
            problems += outcome.problems
            all_read &= outcome.was_read
            if outcome.decoded is not None:
                file.write(outcome.decoded.pixels.data)
                d = outcome.decoded
                file_facts = (outcome.name, outcome.sha256, outcome.length)
                rows.append((*file_facts, d.width, d.height, d.mode))
        file.seek(0)
        _write_header(file, (len(rows), side, side, image.channels))
        file.flush()
        os.fsync(file.fileno())
    index = pd.DataFrame(rows, columns=list(COLUMNS))
    index.to_parquet(folder / "index.parquet")
    write_json(
        folder / "about.json",
        {"dataset": dataset.name, "images": len(rows), "image": image.model_dump(mode="json")},
    )
    return index, problems, all_read


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _decode_all(dataset: Dataset, image: Image) -> Iterator[_Outcome]:
    """Read and decode the images in order, a few ahead of what is taken."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    threads = min(32, (os.cpu_count() or 1) + 2)
    ahead: deque[Future[_Outcome]] = deque()
    with (
        Progress(
            *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
        ) as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        names = dataset.manifest["image"].tolist()
        bar = progress.add_task(f"Preparing {dataset.name}", total=len(names))
        for name in names:
            ahead.append(pool.submit(_decode_one, name, dataset.reader, image))
            if len(ahead) > 4 * threads:
                yield ahead.popleft().result()
                progress.advance(bar)
        while ahead:
            yield ahead.popleft().result()
            progress.advance(bar)


@dataclass(frozen=True)
class _Outcome:
    """What became of an image; `decoded` is None where it cannot be used."""

    name: str
    problems: list[Problem]
    was_read: bool = True
    sha256: str = ""
    length: int = 0
    decoded: Decoded | None = None


def _decode_one(name: str, reader: Reader, image: Image) -> _Outcome:
    try:
        content = reader.read(name)
    except VitrialError as error:
        return _Outcome(name, [Problem(name, str(error), "correct the file")], was_read=False)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        mend = "check that the file is there and may be read"
        return _Outcome(name, [Problem(name, what, mend)], was_read=False)
    try:
        decoded = decode(content, image)
    except DecodeError as error:
        return _Outcome(name, [Problem(name, error.what, error.mend)])
    notes = [Problem(name, what, mend, fatal=False) for what, mend in decoded.notes]
    sha256 = hashlib.sha256(content).hexdigest()
    return _Outcome(name, notes, sha256=sha256, length=len(content), decoded=decoded)


def _publish(new: Path, path: Path) -> Path:
    """Move a finished cache to its place, unless another process was faster."""
    try:
        new.rename(path)
    except OSError:
        try:
            PixelCache(path)
        except VitrialError:
            shutil.rmtree(path)
            new.rename(path)
    return path


def _check_space(root: Path, n: int, image: Image) -> None:
    needed = n * (image.resize**2 * image.channels + 1024)
    free = shutil.disk_usage(root).free
    if needed > free:
        raise VitrialError(
            f"The pixel cache needs {needed / 1e9:.1f} GB in {root}, where {free / 1e9:.1f} GB are "
            "free: make room, or name another place with VITRIAL_CACHE."
        )
