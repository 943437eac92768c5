"""The section on the flow of images, from the source's list to training, validation and test."""

from __future__ import annotations

import pandas as pd

from vitrial.data.flow import Flow
from vitrial.report.figures.flow import Box, Step, draw
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Flow of images"
SUMMARY = (
    "How many images the data set has, how many were left out and why, and how the rest was "
    "divided; all images of a patient or lesion are in one split."
)
ORDER = 5

SPLITS = {"train": "Training", "val": "Validation", "test": "Test"}


def render(snapshot: Snapshot) -> str:
    """The flow as a figure, beside its numbers."""
    manifest, flow = snapshot.manifest, snapshot.facts.flow
    counts = manifest.groupby("split").agg(images=("image", "size"), groups=("group", "nunique"))
    counts = counts.reindex(list(SPLITS), fill_value=0)
    steps = [*_before(flow), Step(_used(flow, len(manifest), manifest["group"].nunique()))]
    ends = [
        Box(title, (_images(int(images)), _groups(int(groups))))
        for title, (images, groups) in zip(SPLITS.values(), counts.to_numpy(), strict=True)
    ]
    return template("flow.html.j2").render(
        svg=draw("flow", _sentence(snapshot), steps, ends),
        caption=_sentence(snapshot),
        numbers=numbers(flow, manifest),
        known=flow is not None,
        left_out=snapshot.facts.left_out,
    )


def numbers(flow: Flow | None, manifest: pd.DataFrame) -> pd.DataFrame:
    """A row for each step: images, and patients or lesions where they are known."""
    rows: list[tuple[str, int, int | None]] = []
    if flow is not None:
        rows.append(("Listed by the source", flow.listed, None))
        rows += [(f"Left out: {why}", images, None) for why, images in flow.left_out.items()]
        rows.append(("Used, patients or lesions as the data name them", flow.used, flow.groups))
    groups = manifest["group"]
    rows.append(("Used, copies and near copies joined", len(manifest), groups.nunique()))
    for split, title in SPLITS.items():
        part = groups[manifest["split"] == split]
        rows.append((title, len(part), part.nunique()))
    table = pd.DataFrame(rows, columns=["Step", "Images", "Patients or lesions"])
    return table.astype({"Patients or lesions": "Int64"}).astype({"Patients or lesions": object})


def _before(flow: Flow | None) -> list[Step]:
    if flow is None:
        return []
    refused = (f"{flow.refused:,} files or rows refused",) if flow.refused else ()
    left_out = tuple(f"{images:,} {why}" for why, images in flow.left_out.items())
    return [Step(Box("Listed by the source", (_images(flow.listed), *refused)), left_out)]


def _used(flow: Flow | None, images: int, groups: int) -> Box:
    joined = flow.groups - flow.joined if flow else 0
    said = (f"{joined:,} joined with others by copies or near copies",) if joined else ()
    return Box("Used", (_images(images), _groups(groups), *said))


def _sentence(snapshot: Snapshot) -> str:
    flow, used = snapshot.facts.flow, len(snapshot.manifest)
    of = f" of {flow.listed:,} that the source lists" if flow else ""
    return f"{snapshot.facts.data}: {used:,} images{of} are used."


def _images(n: int) -> str:
    return f"{n:,} image{'s' * (n != 1)}"


def _groups(n: int) -> str:
    return f"{n:,} patient{'s' * (n != 1)} or lesion{'s' * (n != 1)}"
