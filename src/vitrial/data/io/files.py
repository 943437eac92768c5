"""The files of a data set, read and never written: a folder, a .zip, or .zip files in a folder."""

from __future__ import annotations

import io
import os
import posixpath
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from vitrial.errors import VitrialError, is_text

LARGEST = 2**30
"""No image file has more bytes than this."""
BOMB_SIZE, BOMB_RATIO = 2**26, 200
"""A .zip member above this size that shrank more than this often is not an image."""
JUNK = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini"})


class Files:
    """A read-only view of a root, which is a folder or a .zip file.

    Names are separated by "/" and start at the root. A .zip inside a folder counts as a folder:
    `images.zip/ISIC_1.jpg`. Nothing outside the root can be reached.

    Args:
        root: The folder or .zip file.

    Attributes:
        undecodable: Names that `names` left out when it was called last.

    Raises:
        VitrialError: There is no such folder or .zip file, or the .zip is damaged.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self.undecodable: list[str] = []
        self._archives: dict[Path, _Archive] = {}
        self._folders: dict[str, Path] = {}
        self._lock = Lock()
        if not self.root.exists():
            raise VitrialError(f"There is no '{root}': correct the data's root.")
        if self._zipped:
            self._archive(self.root)
        elif not self.root.is_dir():
            raise VitrialError(f"'{root}' is neither a folder nor a .zip file: correct the root.")

    def names(self, suffixes: frozenset[str] | None = None) -> list[str]:
        """All files, sorted, without hidden ones and what operating systems leave behind.

        Names that are not UTF-8 are left out too, and are in `undecodable` from then on.

        A link to a folder is listed like a file, and not entered.

        Args:
            suffixes: Only names that end in one of these (lower case, such as `.png`).
        """
        names = {name for name, is_folder in self._entries() if not is_folder}
        self.undecodable = sorted(name for name in names if not is_text(name))
        names.difference_update(self.undecodable)
        return sorted(name for name in names if suffixes is None or suffix_of(name) in suffixes)

    def folders(self) -> list[str]:
        """All folders below the root, sorted, empty ones too."""
        return sorted({name for name, is_folder in self._entries() if is_folder})

    def read(self, name: str) -> bytes:
        """The content of a file; may be called from several threads.

        Raises:
            VitrialError: The name leads out of the root, or to what is no image for certain.
            OSError: The file is missing, damaged or unreadable.
        """
        path, member = self._locate(name)
        if member is not None:
            return self._archive(path).read(member)
        if _status(path, name).st_size > LARGEST:
            raise VitrialError(f"'{name}' is larger than 1 GiB: it cannot be an image.")
        return path.read_bytes()

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; of a .zip, its unpacked content.

        Raises:
            VitrialError: As for `read`.
            OSError: Likewise.
        """
        path, member = self._locate(name)
        if member is not None:
            return io.BytesIO(self._archive(path).read(member))
        _status(path, name)
        return path.open("rb")

    def start(self, name: str, size: int = 132) -> bytes:
        """The first bytes of a file; none of one that cannot be read."""
        try:
            path, member = self._locate(name)
            if member is not None:
                return self._archive(path).start(member, size)
            _status(path, name)
            with path.open("rb") as file:
                return file.read(size)
        except (OSError, VitrialError):
            return b""

    def stamp(self, name: str) -> str:
        """A text that changes when the content may have changed, found without reading it.

        Raises:
            VitrialError: As for `read`.
            FileNotFoundError: There is no such file.
        """
        path, member = self._locate(name)
        if member is not None:
            return self._archive(path).stamp(member)
        # Change time and inode as well: unpacked archives share their modification times.
        s = _status(path, name)
        return f"{s.st_size}-{s.st_mtime_ns}-{s.st_ctime_ns}-{s.st_ino}"

    @property
    def _zipped(self) -> bool:
        return _is_zip(self.root.name) and self.root.is_file()

    def _entries(self) -> Iterator[tuple[str, bool]]:
        """Names, each with whether it is a folder."""
        if self._zipped:
            yield from self._archive(self.root).entries()
            return
        for folder, subfolders, files in os.walk(self.root, onerror=_cannot_list):
            place = Path(folder).relative_to(self.root).as_posix()
            subfolders[:] = [name for name in subfolders if not _is_junk(name)]
            for name in subfolders:
                yield _join(place, name), not Path(folder, name).is_symlink()
            for name in files:
                if _is_junk(name):
                    continue
                path = Path(folder, name)
                if _is_zip(name) and path.is_file():
                    archive = _join(place, name)
                    inside = self._archive(self._inside(archive, archive)).entries()
                    yield from ((_join(place, name, entry), folder) for entry, folder in inside)
                else:
                    yield _join(place, name), False

    def _locate(self, name: str) -> tuple[Path, str | None]:
        """The path of a file, or of the archive that holds it and its name there."""
        _refuse_escape(name)
        if self._zipped:
            return self.root, name
        parts = name.split("/")
        for depth, part in enumerate(parts[:-1], start=1):
            if _is_zip(part) and self.root.joinpath(*parts[:depth]).is_file():
                return self._inside("/".join(parts[:depth]), name), "/".join(parts[depth:])
        return self._inside(name, name), None

    def _inside(self, place: str, name: str) -> Path:
        """The path of a place without links; they must not lead out of the root."""
        folder, leaf = posixpath.split(place)
        if folder not in self._folders:  # one look for all files of a folder
            self._folders[folder] = self._real(self.root / folder, name)
        path = self._folders[folder] / leaf
        return self._real(path, name) if path.is_symlink() else path

    def _real(self, path: Path, name: str) -> Path:
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self.root):
            raise VitrialError(f"'{name}' is a link out of the data's root: put a copy there.")
        return real

    def _archive(self, path: Path) -> _Archive:
        with self._lock:
            if path not in self._archives:
                self._archives[path] = _Archive(path)
            return self._archives[path]


class _Archive:
    """The members of a .zip file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            raise VitrialError(f"'{path}' cannot be opened as a .zip file: {error}.") from error
        self.lock = Lock()
        self.members: dict[str, zipfile.ZipInfo] = {}
        self.ambiguous: set[str] = set()
        for info in self.zip.infolist():
            name = info.filename.replace("\\", "/")  # some programs on Windows write backslashes
            other = self.members.setdefault(name, info)
            if (other.CRC, other.file_size) != (info.CRC, info.file_size):
                self.ambiguous.add(name)
            _refuse_escape(name.removesuffix("/"), f" in '{path}'")

    def entries(self) -> Iterator[tuple[str, bool]]:
        for name in self.members:
            parts = name.split("/")
            if any(map(_is_junk, parts)):
                continue
            yield from (("/".join(parts[:depth]), True) for depth in range(1, len(parts)))
            if parts[-1]:
                yield name, False

    def read(self, name: str) -> bytes:
        return self.start(name, -1)

    def start(self, name: str, size: int) -> bytes:
        """The first bytes of a member; all of it if `size` is -1."""
        info = self.member(name)
        where = f"'{name}' in '{self.path.name}'"
        if stat.S_ISLNK(info.external_attr >> 16):
            raise VitrialError(f"{where} is a link: put the file itself into the archive.")
        if info.flag_bits & 1:
            raise VitrialError(f"{where} is encrypted: unpack the archive first.")
        shrank = info.file_size / max(info.compress_size, 1)
        if info.file_size > LARGEST or (info.file_size > BOMB_SIZE and shrank > BOMB_RATIO):
            raise VitrialError(
                f"{where} would unpack to {info.file_size:,} bytes: it cannot be an image."
            )
        try:
            # A ZipFile counts its open members without a lock of its own.
            with self.lock:
                member = self.zip.open(info)
            try:
                return member.read(size)
            finally:
                with self.lock:
                    member.close()
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise OSError(f"{where} is damaged: {error}") from error

    def stamp(self, name: str) -> str:
        info = self.member(name)
        return f"{info.CRC:08x}-{info.file_size}"

    def member(self, name: str) -> zipfile.ZipInfo:
        if name not in self.members or name.endswith("/"):
            raise FileNotFoundError(f"there is no '{name}' in '{self.path.name}'")
        if name in self.ambiguous:
            raise VitrialError(
                f"'{self.path.name}' holds several different files called '{name}': keep one of "
                "them, or give the others other names."
            )
        return self.members[name]


def suffix_of(name: str) -> str:
    """A name's suffix in lower case, such as `.jpg`."""
    return posixpath.splitext(name)[1].lower()


def _refuse_escape(name: str, place: str = "") -> None:
    absolute = name.startswith("/") or re.match(r"[A-Za-z]:", name)
    if absolute or not name or "\0" in name or ".." in name.split("/"):
        raise VitrialError(f"The name '{name}'{place} leads out of the data's root.")


def _status(path: Path, name: str) -> os.stat_result:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"there is no '{name}'") from error
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(f"'{name}' is not a file")
    return status


def _cannot_list(error: OSError) -> None:
    raise VitrialError(f"'{error.filename}' cannot be listed: {error.strerror}.") from error


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part != ".")


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in JUNK
