"""What was measured and shown of a study's answers, as it lies on disk."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vitrial.explain.shown import Shown, read_shown
from vitrial.layout import EXPLAINED, MEASURES, SANITY, SHOWN
from vitrial.legacy import translated_table
from vitrial.records import read_bytes, read_record, read_table, reading


@dataclass(frozen=True)
class Explained:
    """What `vitrial explain` found.

    Attributes:
        measures: A row per arm, method and image.
        sanity: What is left of each map as the weights are randomized; empty in a study of an
            older program.
        shown: The images of Figure 1; none in a study of an older program.
    """

    measures: pd.DataFrame
    sanity: pd.DataFrame
    shown: list[Shown]


def read_explained(folder: Path) -> Explained | None:
    """Read and verify a folder of explanations; None where nothing was measured.

    Raises:
        DamagedError: Something in it is not what was written.
    """
    if not any((folder / name).exists() for name in (EXPLAINED, MEASURES)):
        return None
    way_out = f"`vitrial explain {shlex.quote(str(folder.parent))}` recomputes it"
    record = read_record(folder / EXPLAINED, way_out) if (folder / EXPLAINED).exists() else {}
    measures = translated_table(read_table(folder / MEASURES, record, way_out))
    sanity, shown = pd.DataFrame(), []
    if record or (folder / SANITY).exists():
        sanity = translated_table(read_table(folder / SANITY, record, way_out))
    if record or (folder / SHOWN).exists():
        read_bytes(folder / SHOWN, record, way_out)
        with reading(folder / SHOWN, way_out):
            shown = read_shown(folder / SHOWN)
    return Explained(measures, sanity, shown)
