"""Arrays of an .npz file unpacked once, in bounded memory, so that they can be mapped."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
from filelock import FileLock

from vitrial.atomic import PARTIAL, write_json
from vitrial.data.io.download import CHUNK, md5_of
from vitrial.errors import VitrialError
from vitrial.events import counting
from vitrial.protocol import digest

ABOUT = "about.json"
"""Written last into a folder of unpacked arrays: what it was unpacked from."""


@dataclass(frozen=True)
class Expected:
    """What an array may be.

    Attributes:
        kinds: NumPy's letters of its type: `u` unsigned, `i` signed.
        item: Shapes of an item of it, such as a single image or label.
        most: Largest number of items.
        bytes_each: Largest size of a number in bytes.
    """

    kinds: str
    item: tuple[tuple[int, ...], ...]
    most: int
    bytes_each: int


def unpack(path: Path, expected: Mapping[str, Expected], root: Path) -> Path:
    """Unpack an .npz file's arrays, or find those that were unpacked before.

    Nothing is unpickled, and no array is unpacked that is larger than expected.

    Args:
        path: The .npz file.
        expected: Names of the arrays, such as `train_images`, and what they may be.
        root: Where folders of unpacked arrays lie.

    Returns:
        A folder with `NAME.npy` for each name, and `about.json` with the `md5` of the .npz file.

    Raises:
        VitrialError: The file is damaged, lacks an array or has another one than expected, or
            there is no room to unpack it.
    """
    try:
        status = path.stat()
        stamp = [str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        key = digest([stamp, {name: asdict(what) for name, what in expected.items()}])
        folder = root / f"{path.stem}-{key}"
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{folder.name}.lock"):
            if not (folder / ABOUT).exists():
                _unpack(path, expected, folder)
        return folder
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise VitrialError(f"'{path}' cannot be unpacked in {root}: {error}.") from error


def _unpack(path: Path, expected: Mapping[str, Expected], folder: Path) -> None:
    new = folder.with_name(f"{PARTIAL}{folder.name}")
    # What a killed run left behind; the lock keeps others out.
    for left in (new, folder):
        shutil.rmtree(left, ignore_errors=True)
    with zipfile.ZipFile(path) as archive:
        sizes = {name: _check(archive, path, name, what) for name, what in expected.items()}
        total, free = sum(sizes.values()), shutil.disk_usage(folder.parent).free
        if total > free:
            raise VitrialError(
                f"'{path.name}' needs {total / 1e6:,.1f} MB unpacked in {folder.parent}, where "
                f"{free / 1e6:,.1f} MB are free: make room, or name another place with "
                "VITRIAL_CACHE."
            )
        new.mkdir()
        try:
            md5 = md5_of(path)
            with counting(f"Unpacking {path.name}", total, unit="bytes") as advance:
                for name in expected:
                    with (
                        archive.open(f"{name}.npy") as member,
                        (new / f"{name}.npy").open("wb") as out,
                    ):
                        while piece := member.read(CHUNK):
                            out.write(piece)
                            advance(len(piece))
                        out.flush()
                        os.fsync(out.fileno())
            write_json(new / ABOUT, {"md5": md5, "path": str(path)})
            new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _check(archive: zipfile.ZipFile, path: Path, name: str, what: Expected) -> int:
    """Refuse an array that is not as expected, by its header; its size in bytes."""
    member = f"{name}.npy"
    if member not in archive.namelist():
        there = ", ".join(sorted(archive.namelist())[:8]) or "nothing"
        raise _damaged(path, f"it has no array '{name}', but {there}")
    try:
        with archive.open(member) as file:
            shape, fortran, kind, start = _header(file)
    except ValueError as error:
        raise _damaged(path, f"'{name}' is no array of NumPy: {error}") from error
    if kind.kind not in what.kinds or kind.itemsize > what.bytes_each or fortran:
        raise _damaged(path, f"'{name}' has the type {kind}, which is not that of the set")
    if len(shape) < 1 or shape[1:] not in what.item:
        raise _damaged(path, f"'{name}' has the shape {shape}, which is not that of the set")
    if shape[0] > what.most:
        raise _damaged(path, f"'{name}' has {shape[0]:,} items; the set has {what.most:,} at most")
    declared = archive.getinfo(member).file_size
    # Shapes are of Python's integers, which do not overflow.
    size = start + int(np.prod(shape, dtype=object)) * kind.itemsize
    if declared != size:
        raise _damaged(path, f"'{name}' takes {declared:,} bytes instead of {size:,}")
    return declared


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order, type and length of a .npy file's header."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, kind = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of the format")
    return shape, fortran, kind, file.tell()


def _damaged(path: Path, why: str) -> VitrialError:
    return VitrialError(
        f"'{path}' is damaged or another file ({why}): remove it, and download it again."
    )
