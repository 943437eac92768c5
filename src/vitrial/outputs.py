"""Nothing of the user's is overwritten: where a command may write is settled before any work."""

from __future__ import annotations

from pathlib import Path

from vitrial.errors import VitrialError


def refuse_foreign(folder: Path, marks: tuple[str, ...], what: str) -> None:
    """Refuse a folder that is not empty and holds nothing of vitrial's.

    Args:
        folder: Where a command is about to write many files. Hidden files and locks do not count.
        marks: Patterns of files, any of which shows that vitrial wrote the folder.
        what: What it would hold then, such as `study`.

    Raises:
        VitrialError: It holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise VitrialError(f"{folder} is a file: name a folder for the {what} with --out.")
    if not folder.is_dir() or any(any(folder.glob(mark)) for mark in marks):
        return
    there = sorted(p.name for p in folder.iterdir() if p.name != "lock" and p.name[0] != ".")
    if there:
        raise VitrialError(
            f"{folder} is not empty and holds no {what} (it has {', '.join(there[:3])}"
            f"{', ...' * (len(there) > 3)}): name a new or empty folder with --out."
        )


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuse a file that is there already, unless it is to be overwritten.

    Raises:
        VitrialError: It is there.
    """
    if path.is_dir():
        raise VitrialError(f"{path} is a folder: name a file.")
    if path.exists() and not overwrite:
        raise VitrialError(f"{path} exists already: name another file, or add --overwrite.")
