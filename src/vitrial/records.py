"""Records: JSON that carries its own checksum and those of files beside it; one guarded reader.

A file is verified before it is trusted. Whatever a damaged file makes its library say becomes one
sentence: which file, what is wrong with it, and the way out.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import pandas as pd
from pydantic import TypeAdapter

from vitrial.atomic import write_json
from vitrial.errors import VitrialError
from vitrial.layout import DAMAGED
from vitrial.legacy import path_of, translated

FORMAT, SEAL, FILES = "format", "sha256", "files"
"""Keys of a record: the number of its format; its own checksum; for each file beside it, its
`bytes` and `sha256`."""
PRESENT = 2
"""The format that is written; what has no number is of version 0.1 (see `vitrial.legacy`). Raise it
when a reader would take a record for something else, and keep reading the former ones."""

Record = dict[str, Any]
Typed = TypeVar("Typed")


class DamagedError(VitrialError):
    """A file is missing or is not what was written there.

    Attributes:
        path: The file.
        what: `missing`, `empty` or `damaged`.
    """

    def __init__(self, path: Path, what: str, way_out: str) -> None:
        super().__init__(f"{path} is {what}: {way_out}.")
        self.path, self.what = path, what


def write_record(path: Path, content: Record, files: Iterable[str] = ()) -> None:
    """Write a record atomically.

    Args:
        path: The file.
        content: What it says; JSON-able, without the keys `format`, `files` and `sha256`.
        files: Names of files in its folder, whose checksums it takes along.
    """
    sums = {name: _sum_of_file(path.parent / name) for name in files}
    content = json.loads(json.dumps({FORMAT: PRESENT, **content, FILES: sums}, default=str))
    write_json(path, {**content, SEAL: _sum_of_content(content)})


def read_record(path: Path, way_out: str, keys: Iterable[str] = ()) -> Record:
    """Read a record and verify it; one of an older program is translated.

    One that has no checksum is believed.

    Args:
        path: The file.
        way_out: What the user can do if it is damaged; follows a colon.
        keys: Those that it must have.

    Raises:
        DamagedError: It is missing, or not what was written.
        VitrialError: A newer program wrote it.
    """
    with reading(path, way_out):
        content: Record = json.loads(path.read_text(encoding="utf-8"))
        seal = content.pop(SEAL, None)
        if seal is not None and seal != _sum_of_content(content):
            raise ValueError("its checksum differs")
        number = int(content.get(FORMAT, 1))
        content = translated(content) if number == 1 else content
        if number <= PRESENT and (missing := set(keys) - content.keys()):
            raise ValueError(f"it lacks {missing}")
    if number > PRESENT:
        raise VitrialError(f"{path} was written by a newer version of vitrial: use that version.")
    return content


def write_typed(path: Path, value: Any, files: Iterable[str] = (), **more: Any) -> None:
    """Write a dataclass as a record.

    Args:
        path: The file.
        value: Whose fields make the content.
        files: As in `write_record`.
        more: Further keys.
    """
    content = _adapter(cast(Hashable, type(value))).dump_python(value, mode="json")
    write_record(path, content | more, files)


def read_typed(
    kind: type[Typed],
    path: Path,
    way_out: str,
    former: Callable[[Record], Record] = lambda content: content,
) -> Typed:
    """Read and verify what `write_typed` wrote.

    Args:
        kind: The dataclass.
        path: The file; of version 0.1, where that put it.
        way_out: What the user can do if it is damaged; follows a colon.
        former: Makes the fields out of a record of version 0.1.

    Raises:
        DamagedError: It is missing, or not what was written.
        VitrialError: A newer program wrote it.
    """
    path = path_of(path)
    content = read_record(path, way_out)
    with reading(path, way_out):
        if FORMAT not in content:
            content = former(content)
        known = {field.name for field in fields(cast(Any, kind))}
        told = {name: value for name, value in content.items() if name in known}
        return cast(Typed, _adapter(cast(Hashable, kind)).validate_json(json.dumps(told)))


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, kind))


def read_table(path: Path, record: Record, way_out: str) -> pd.DataFrame:
    """Read a Parquet file that a record vouches for.

    Raises:
        DamagedError: It is missing, or not what was written.
    """
    content = read_bytes(path, record, way_out)
    with reading(path, way_out):
        return pd.read_parquet(io.BytesIO(content))


def read_bytes(path: Path, record: Record, way_out: str) -> bytes:
    """Read a file that a record vouches for.

    Raises:
        DamagedError: It is missing, or not what was written.
    """
    with reading(path, way_out):
        content = path.read_bytes()
        expected = _expected(path, record)
        if expected and expected["sha256"] != hashlib.sha256(content).hexdigest():
            raise ValueError("its checksum differs")
    return content


def check_bytes(path: Path, record: Record, way_out: str) -> None:
    """Verify every byte of a file that a record vouches for, however large it is.

    Raises:
        DamagedError: It is missing, or not what was written.
    """
    with reading(path, way_out):
        found, expected = _sum_of_file(path), _expected(path, record)
        if expected and expected != found:
            raise ValueError("its checksum differs")


def check_size(path: Path, record: Record, way_out: str) -> None:
    """Verify that a file that a record vouches for is there and as long as it was.

    Raises:
        DamagedError: It is missing, or has another size.
    """
    with reading(path, way_out):
        found, expected = path.stat().st_size, _expected(path, record)
        if expected and expected["bytes"] != found:
            raise ValueError("its size differs")


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that it is out of the way and not lost; its new path."""
    return path.replace(path.with_name(path.name + DAMAGED))


@contextmanager
def reading(path: Path, way_out: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into one sentence.

    Args:
        path: The file that the block reads, and nothing else.
        way_out: What the user can do; follows a colon.

    Raises:
        DamagedError: It is missing, or not what was written.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DamagedError(path, "missing", way_out) from error
    except Exception as error:  # a damaged file can make a library raise anything
        # What the system itself refuses (no permission, a failing disk) has a number.
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno):
            raise
        what = "empty" if path.is_file() and path.stat().st_size == 0 else "damaged"
        raise DamagedError(path, what, way_out) from error


def _expected(path: Path, record: Record) -> dict[str, Any] | None:
    """The checksum of a file; None in a record of an older program, which has none."""
    files = record.get(FILES)
    return None if files is None else dict(files[path.name])


def _sum_of_content(content: Record) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sum_of_file(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {
            "bytes": path.stat().st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }
