"""Files that are either whole or absent, whenever the process is killed or the disk is full."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vitrial.errors import VitrialError

PARTIAL = ".partial-"
"""How the names of folders begin that a process killed while writing leaves behind."""
HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
STALE = 86_400
"""Seconds after which a folder that another machine was writing to counts as left behind."""


class DiskError(VitrialError):
    """Nothing can be written any more."""


class DiskFullError(DiskError):
    """There is no room for a file: which, and how much it needs."""


class DiskGoneError(DiskError):
    """A folder that was being written to is gone, as when a disk is taken away."""


@contextmanager
def replacing(path: Path, needs: int = 0) -> Iterator[Path]:
    """Give a temporary path to write to; it replaces `path` if the block ends without error.

    The temporary file lies in a folder of its own, so that what a library writes beside it is
    removed with it. Its permissions are those that the umask allows.

    Args:
        path: The file; its folder is made if it is not there.
        needs: Bytes that will be written, where known beforehand.

    Raises:
        DiskFullError: There is no room.
    """
    written = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if needs > shutil.disk_usage(path.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=partial_prefix()) as folder:
            temporary = Path(folder) / path.name
            temporary.touch()
            mode = temporary.stat().st_mode  # libraries that write files anew choose others
            try:
                yield temporary
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
            finally:
                with suppress(OSError):
                    written = temporary.stat().st_size
            temporary.chmod(mode)
            temporary.replace(path)
    except Exception as error:
        if not is_full(error):
            raise
        needed = f"{readable(needs)}" if needs else f"more than {readable(written)}"
        free = readable(_free(path.parent))
        raise DiskFullError(
            f"There is no room for {path}: it needs {needed}, and {free} are "
            "free. Make room, and repeat the command: what was finished before is kept."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(content, indent=1, default=str) + "\n")


def is_full(error: BaseException | None) -> bool:
    """Whether a full disk or an exhausted quota is behind an error.

    PyTorch raises another error over the system's, and safetensors tells it in words alone.
    """
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        if number in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__context__
    return False


def partial_prefix() -> str:
    """Begins the name of a folder that this process writes to: says which process of which host."""
    return f"{PARTIAL}{HOST}-{os.getpid()}-"


def remove_leftovers(*folders: Path) -> None:
    """Remove what processes left in folders when they were killed; what is being written stays."""
    for folder in folders:
        for left in folder.glob(f"{PARTIAL}*"):
            if not _is_being_written(left):
                remove(left)


def remove(path: Path) -> None:
    """Remove a file or folder, which another process may be removing too."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_being_written(left: Path) -> bool:
    host, _, rest = left.name.removeprefix(PARTIAL).partition("-")
    pid = rest.partition("-")[0]
    if host == HOST and pid.isdecimal():
        try:
            os.kill(int(pid), 0)  # sends nothing, and says whether there is such a process
        except ProcessLookupError:
            return False
        except OSError:  # it is another user's
            return True
        return True
    with suppress(OSError):
        newest = max(path.stat().st_mtime for path in (left, *left.rglob("*")))
        return newest > time.time() - STALE
    return False


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def readable(n: int) -> str:
    """A number of bytes, such as 1.2 GB, with a decimal place however small."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n >= factor:
            return f"{n / factor:.1f} {unit}"
    return f"{n / 1e3:.1f} kB"
