"""What the audit of a data set found, for the page and the terminal."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vitrial.atomic import write_text
from vitrial.data.audit.alike import DRAWS
from vitrial.data.audit.record import Audit
from vitrial.data.cache import PixelCache
from vitrial.errors import Problem, VitrialError
from vitrial.report.figures.contact_sheet import FEWEST, MOST, contact_sheet, thumbnails
from vitrial.report.template import template
from vitrial.seeds import draw_names

COMMONEST, PLACES, PICTURES = 5, 20, 12
"""Shown of a kind of value, of the places of a finding, and of its images."""
PRINTED = 60
"""Classes in the terminal; the page lists all."""
FINDINGS, SHEETS, ON_SHEETS = 60, 50, 640
"""Shown on a page: kinds of findings, classes with a contact sheet, and images on all sheets. A
thumbnail takes about 2 KB: a page stays below 4 MB however many classes there are."""


@dataclass(frozen=True)
class Finding:
    """Problems or notes of one kind.

    Attributes:
        what: What they have in common.
        fix: What the user can do.
        fatal: Whether what they concern cannot be used.
        count: How many there are.
        places: Where and what, of the first of them.
        pictures: Images concerned: a data URI and a caption each.
    """

    what: str
    fix: str
    fatal: bool
    count: int
    places: list[tuple[str, str]]
    pictures: list[tuple[str, str]]


def folder_of(name: str) -> Path:
    """Where an audit is kept if nobody says: `audits/NAME`."""
    return Path("audits") / (re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data")


def write_page(audit: Audit, folder: Path) -> Path:
    """Write `index.html`, a self-contained page on a data set."""
    page = template("audit_page.html.j2").render(
        name=audit.name,
        sentence=sentence(audit),
        counts=audit.class_table().reset_index(names="class"),
        findings=findings(audit.problems, audit),
        audit=section(audit),
    )
    write_text(folder / "index.html", page)
    return folder / "index.html"


def section(audit: Audit) -> dict[str, Any]:
    """What `audit.html.j2` shows: tables `facts`, `shortcuts`, `alike`; `sheets` of each class."""
    cache = _cache_of(audit)
    decoded = audit.images[audit.images["row"].notna()]
    labels = audit.classes[:SHEETS]
    each = min(MOST, max(FEWEST, ON_SHEETS // max(len(labels), 1)))
    sheets = []
    for label in labels if cache else []:
        mine = decoded[decoded["label"] == label]
        drawn = mine.iloc[draw_names(mine["image"].tolist(), each)]
        if cache and len(drawn):
            picture = contact_sheet(cache, drawn["row"].to_numpy(np.int64))
            sheets.append((label, len(drawn), len(mine), picture))
    return {
        "facts": pd.DataFrame(facts(audit), columns=["Of the images", "What there is"]),
        "shortcuts": _shortcuts(audit),
        "shortcut_images": audit.shortcuts[0].images if audit.shortcuts else 0,
        "alike": _alike(audit),
        "draws": DRAWS,
        "sheets": sheets,
        "more_classes": len(audit.classes) - len(labels),
    }


def _shortcuts(audit: Audit) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Predicted from": one.family,
            "Balanced accuracy": one.score,
            "At least (95%)": one.lower,
            "Chance": one.chance,
            "Suspicious beyond": one.threshold,
            "Found": "suspicious" if one.suspicious else "nothing",
        }
        for one in audit.shortcuts
    )


def _alike(audit: Audit) -> pd.DataFrame:
    """A row for each figure of the splits."""
    return pd.DataFrame(
        {
            "Figure": one.name,
            **{split: one.shown(split) for split in one.values},
            "Apart": f"{one.apart:.1f}" if one.tested else "",
            "Found": "more than chance" if one.differs else "nothing" if one.tested else "",
        }
        for one in audit.alike
    )


def sentence(audit: Audit) -> str:
    """The data set and its soundness in two sentences."""
    images, fatal = audit.images, audit.fatal
    used = images[images["used"]]
    notes = len(audit.problems) - fatal
    return (
        f"{len(images):,} images in {len(audit.classes)} classes are listed; {len(used):,} "
        f"images of {used['group'].nunique():,} groups can be used, with "
        f"{audit.imbalance():.3g} images of the largest class for one of the smallest. "
        f"{fatal:,} problem{'s' * (fatal != 1)}, {notes:,} note{'s' * (notes != 1)}."
    )


def facts(audit: Audit) -> list[tuple[str, str]]:
    """Sizes, shapes, kinds of pixels and of files, in words."""
    images = audit.images[audit.images["row"].notna()]
    if images.empty:
        return [("images that can be decoded", "none")]
    members = images["group"].value_counts()
    several = members[members > 1]
    size = images["width"].map("{:.0f}".format) + " x " + images["height"].map("{:.0f}".format)
    return [
        (
            "groups",
            f"{len(members):,}, of which {len(several):,} have several images "
            f"({several.sum():,} together)",
        ),
        ("size in pixels", _commonest(size)),
        ("width / height", f"{images['aspect'].min():.3g} to {images['aspect'].max():.3g}"),
        ("bits per channel", _commonest(images["bits"].map("{:.0f}".format))),
        *(_file_facts(images) if "bytes" in images else []),
    ]


def _file_facts(images: pd.DataFrame) -> list[tuple[str, str]]:
    """What the user's own files are, in words."""
    kilobytes, suffix = images["bytes"] / 1000, images["suffix"]
    kinds = [("kind of file", _commonest(suffix.replace("", "no suffix")))] if any(suffix) else []
    return [
        ("color mode", _commonest(images["mode"])),
        *kinds,
        (
            "kilobytes",
            f"{kilobytes.min():.3g} to {kilobytes.max():.3g}, median {kilobytes.median():.3g}",
        ),
    ]


def findings(problems: list[Problem], audit: Audit | None) -> list[Finding]:
    """Problems and notes by kind: fatal and rare ones first, with pictures from the cache.

    Of more than 60 kinds, the last of these says how many others there are.
    """
    kinds: dict[tuple[bool, str, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[not problem.fatal, problem.kind, problem.fix].append(problem)
    cache = _cache_of(audit) if audit else None
    look = _Pictures(audit.images, cache) if audit and cache else None
    ordered = sorted(kinds.items(), key=lambda kind: (kind[0][0], len(kind[1])))
    shown, hidden = ordered[:FINDINGS], ordered[FINDINGS:]
    return [
        Finding(
            what if len({problem.what for problem in alike}) > 1 else alike[0].what,
            fix,
            not is_note,
            len(alike),
            [(problem.where, problem.what) for problem in alike[:PLACES]],
            look.of(alike) if look else [],
        )
        for (is_note, what, fix), alike in shown
    ] + _hidden(hidden)


def _hidden(kinds: list[tuple[tuple[bool, str, str], list[Problem]]]) -> list[Finding]:
    """One finding in place of the kinds for which a page has no room."""
    if not kinds:
        return []
    count = sum(len(alike) for _, alike in kinds)
    fatal = any(not is_note for (is_note, _, _), _ in kinds)
    what = f"of {len(kinds):,} other kinds are in problems.csv"
    return [Finding(what, "read that file", fatal, count, [], [])]


def print_summary(audit: Audit, console: Console) -> None:
    """Print counts, sizes, splits and shortcuts; what is wrong is printed by `report_problems`."""
    counts = audit.class_table()
    classes = Table("class", *counts.columns)
    for label, row in counts.head(PRINTED).iterrows():
        classes.add_row(Text(str(label)), *map(str, row))
    if len(counts) > PRINTED:
        classes.add_row(f"and {len(counts) - PRINTED:,} more, on the page")
    kinds = Table("", "of the images that can be decoded", show_header=True)
    for name, text in facts(audit):
        kinds.add_row(name, Text(text))
    console.print(classes, kinds)
    if audit.alike:
        alike = Table("share of images", *audit.alike[0].values, "apart", "")
        for figure in audit.alike:
            values = [figure.shown(split) for split in figure.values]
            distance = f"{figure.apart:.1f}" if figure.tested else ""
            words = "[red]more than chance[/]" if figure.differs else ""
            alike.add_row(Text(figure.name), *values, distance, words)
        console.print(alike)
    if audit.shortcuts:
        shortcuts = Table("predicted from", "balanced accuracy", "at least", "chance", "")
        for s in audit.shortcuts:
            words = "[red]suspicious[/]" if s.suspicious else ""
            shortcuts.add_row(
                s.family, f"{s.score:.3f}", f"{s.lower:.3f}", f"{s.chance:.3f}", words
            )
        console.print(shortcuts)
    console.print(f"{audit.name}: {sentence(audit)}", markup=False, highlight=False)


class _Pictures:
    """Finds the images that problems are about."""

    def __init__(self, images: pd.DataFrame, cache: PixelCache) -> None:
        self.cache = cache
        self.images = images[images["row"].notna()].drop_duplicates("image").set_index("image")

    def of(self, problems: list[Problem]) -> list[tuple[str, str]]:
        """Thumbnails and captions of up to 12 images."""
        names = (name for problem in problems[:PICTURES] for name in self._names(problem.where))
        shown = self.images.loc[list(dict.fromkeys(names))[:PICTURES]]
        pictures = thumbnails(self.cache, shown["row"].to_numpy(np.int64))
        captions = [
            f"{row.Index}: {row.label}, {row.width:.0f} x {row.height:.0f}"
            for row in shown.itertuples()
        ]
        return list(zip(pictures, captions, strict=True))

    def _names(self, where: str) -> list[str]:
        """An image, several separated by commas, or those of a group."""
        if where in self.images.index:
            return [where]
        group = where.removeprefix("group ")
        if group != where:
            return self.images.index[self.images["group"] == group].tolist()
        names = where.split(", ")
        return names if all(name in self.images.index for name in names) else []


def _commonest(values: pd.Series) -> str:
    counts = values.value_counts()
    shown = ", ".join(f"{value} ({n:,})" for value, n in counts.iloc[:COMMONEST].items())
    return shown + f" and {len(counts) - COMMONEST:,} more" * (len(counts) > COMMONEST)


def _cache_of(audit: Audit) -> PixelCache | None:
    try:
        return PixelCache(audit.cache)
    except VitrialError:  # removed since; the figures are on disk, the pictures are not
        return None
