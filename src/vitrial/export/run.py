"""Exporting a model to one format or several."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from vitrial.errors import VitrialError
from vitrial.export.exported import Exported
from vitrial.export.formats import FORMATS
from vitrial.layout import EXPORTS
from vitrial.outputs import refuse_existing


def export(
    exported: Exported,
    formats: Sequence[str],
    out: Path | None = None,
    overwrite: bool = False,
) -> tuple[Path, list[str]]:
    """Write a model in some formats into one folder.

    Args:
        exported: Of `vitrial.export.chosen`.
        formats: Names in `vitrial.export.formats`.
        out: The folder; `exports/ARM` in the study's if left out.
        overwrite: Whether the files may be there already.

    Returns:
        The folder, and of each format a sentence for the user.

    Raises:
        VitrialError: A format is unknown or its extra is not installed, a file is there, the stage
            is damaged, or an exported program answers otherwise than PyTorch; nothing was written
            of that format then.
    """
    entries = {name: FORMATS.entry(name) for name in formats}
    folder = out or _default(exported)
    lacking = {
        f"--to {name} needs: pip install 'vitrial[{entry.EXTRA[0]}]'"
        for name, entry in entries.items()
        if entry.EXTRA and any(find_spec(module) is None for module in entry.EXTRA[1])
    }
    if lacking:
        raise VitrialError("\n".join(sorted(lacking)))
    for file in dict.fromkeys(file for entry in entries.values() for file in entry.FILES):
        refuse_existing(folder / file, overwrite)
    ordered = sorted(entries.values(), key=lambda entry: entry.ORDER)
    return folder, [entry.write(exported, folder) for entry in ordered]


def _default(exported: Exported) -> Path:
    if exported.of is None:
        raise VitrialError(f"{exported.folder.path} is a pretraining: name a folder with --out.")
    slug = exported.folder.path.name.rpartition("-")[0]  # without the key
    return exported.of.study.path / EXPORTS / slug
