"""How few patients, and how few of a class, an interval can do with.

Two arms are equally good and err on different images, so that patients are most of what is
uncertain, which is the hardest case; of a single run each, they are all of it. The interval at
level 95% should hold the true difference, 0, in 95% of the studies.

    python benchmarks/few_groups.py [--studies N] [--runs J] [--json PATH]
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from table import Row, publish

from vitrial.compare.intervals import nested_effect
from vitrial.compare.jackknife import jackknife
from vitrial.compare.simulation import draw_logits, draw_test_set

QUALITY = {"quadratic_kappa": 3.0, "balanced_accuracy": 2.5, "roc_auc": 1.8}
"""Of every run: scores of about 0.85 to 0.9."""
WHOLE = (10, 15, 20, 30, 50, 100)
"""Patients of the test set, in two classes of equal size."""
RAREST = (3, 5, 8, 10, 15, 20)
"""Patients of the rarest of four classes, in a test set of 200."""


def coverage(endpoint: str, images: int, shares: list[float], studies: int, count: int) -> float:
    """How often the interval held the truth."""
    generator = np.random.default_rng(zlib.crc32(repr((endpoint, images, shares)).encode()))
    arms, held = [0] * count + [1] * count, 0
    for _ in range(studies):
        test = draw_test_set(images, shares, (1, 1), generator)
        qualities = QUALITY[endpoint] + 0.05 * generator.standard_normal(2 * count)
        ordered = endpoint == "quadratic_kappa"
        logits = draw_logits(test, [*qualities], generator, ordered=ordered, arms=arms, by_arm=0.2)
        runs = jackknife(endpoint, test.targets, logits, test.groups)
        effect = nested_effect(runs.scores[:count], runs.scores[count:], runs.covariance)
        held += effect.low <= 0 <= effect.high
    return held / studies


def main(
    studies: int = 1000, runs: int = 5, json: Annotated[Path | None, typer.Option()] = None
) -> None:
    """Simulate studies and print how often their intervals held the truth."""
    sizes = [(f"{n} patients", n, [0.5, 0.5]) for n in WHOLE]
    sizes += [(f"{n} of 200 in the rarest class", 200, rarest(n)) for n in RAREST]
    rows = []
    for endpoint in QUALITY:
        for name, images, shares in sizes:
            held = coverage(endpoint, images, shares, studies, runs)
            rows.append(Row(f"{endpoint}, {name}", held, "covered", "0.95", held / 0.95))
    publish(f"Coverage of 95% intervals, {studies} studies of {runs} runs an arm", rows, json)


def rarest(patients: int) -> list[float]:
    """Shares of four classes in a test set of 200."""
    return [patients / 200] + [(1 - patients / 200) / 3] * 3


if __name__ == "__main__":
    typer.run(main)
