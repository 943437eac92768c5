"""The section with test images by the features of each arm."""

from __future__ import annotations

import numpy as np

from vitrial.explain.plane import Plane
from vitrial.report.figures.embedding import embedding_map
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Maps of features"
SUMMARY = "Which test images an arm takes for alike, before it answers."
ORDER = 59

OPEN = 12
"""Arms that are shown at once; further ones are folded."""


def render(snapshot: Snapshot) -> str:
    """A map for each arm; nothing where `vitrial explain` was not run."""
    maps = [
        _map(f"features-{place}", arm, of, snapshot.classes)
        for place, (arm, of) in enumerate(snapshot.planes.items(), 1)
    ]
    return (
        template("features.html.j2").render(shown=maps[:OPEN], folded=maps[OPEN:]) if maps else ""
    )


def _map(name: str, arm: str, of: Plane, classes: list[str]) -> str:
    return embedding_map(name, arm, of.places.astype(np.float64), of.target, classes)
