"""Whether the classes of a data set stand in an order that a grading metric may use."""

from __future__ import annotations

import re

import yaml

from vitrial.data.manifest import Dataset
from vitrial.errors import VitrialError
from vitrial.protocol import Data


def require_order(dataset: Dataset, data: Data, endpoint: str) -> None:
    """Refuse more than two classes that are words, unless the protocol states their order.

    Words would be sorted by the alphabet: mild, moderate, none, severe. Grades that are numbers,
    perhaps after a word of all (`grade 2`), are sorted by value. Of two classes the order is of no
    consequence.

    Args:
        dataset: As its source lists it.
        data: What the protocol says of it.
        endpoint: What grades by the order.

    Raises:
        VitrialError: With the line to write.
    """
    if data.known_classes or data.classes is not None or len(dataset.classes) < 3:
        return
    grades = [re.fullmatch(r"(.*?)\d+", name) for name in dataset.classes]
    if all(grades) and len({grade[1] for grade in grades if grade}) == 1:
        return
    line = yaml.safe_dump(dataset.classes, default_flow_style=True, allow_unicode=True, width=10**6)
    raise VitrialError(
        f"{endpoint} grades by the order of the classes, and those of {dataset.name} are words: "
        "state their order, from the least to the most severe, by a line under `data`, sorted "
        f"rightly:\n  classes: {line.strip()}\nor choose an endpoint that needs no order, such as "
        "balanced_accuracy."
    )
