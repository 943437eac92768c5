"""How often the interval of a comparison holds the truth, and how often its word is wrong.

Studies are simulated in which two arms are equally good (A/A), with repetitions that differ by
chance; the interval at level 95% should hold the true difference in 95% of them, and the word
should be superior or inferior in 5% at most. With --power, one arm is better by 1, 2 or 4 margins.

    python benchmarks/calibration.py [--studies N] [--power] [--quick] [--json PATH]
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from scipy.optimize import brentq
from table import Row, publish

from vitrial.compare.intervals import nested_effect
from vitrial.compare.jackknife import jackknife
from vitrial.compare.simulation import draw_logits, draw_test_set
from vitrial.metrics import ENDPOINTS

REPETITIONS = (3, 5, 10)
SCORES = {"quadratic_kappa": 0.85, "balanced_accuracy": 0.80, "roc_auc": 0.92, "macro_auc": 0.92}
"""Endpoints, and the score that the arms have about, near those of the paper."""
SPREADS = {
    "small": (0.003, 0.003),
    "medium": (0.01, 0.01),
    "large": (0.03, 0.03),
    "unequal": (0.003, 0.03),
}
"""Standard deviation of the endpoint over repetitions of either arm, without a test set's noise."""
MARGIN = 0.02


@dataclass(frozen=True)
class Cell:
    """A kind of study."""

    endpoint: str
    spread: str
    images: int
    most_per_group: int
    rare: bool
    margins: float = 0.0

    @property
    def ordered(self) -> bool:
        """Whether classes are grades."""
        return self.endpoint == "quadratic_kappa"

    @property
    def metric(self) -> str:
        """Name of the endpoint in vitrial."""
        return "roc_auc" if self.endpoint == "macro_auc" else self.endpoint

    @property
    def shares(self) -> list[float]:
        """Of the classes."""
        classes = {"quadratic_kappa": 5, "balanced_accuracy": 4, "roc_auc": 2, "macro_auc": 4}
        count = classes[self.endpoint]
        if not self.rare:
            return [1 / count] * count
        return [0.05] + [0.95 / (count - 1)] * (count - 1)


def cells(margins: float) -> Iterator[Cell]:
    """Every kind of study."""
    for choice in itertools.product(SCORES, SPREADS, (150, 500), (1, 5), (False, True)):
        yield Cell(*choice, margins=margins)


def score_at(cell: Cell, quality: float) -> float:
    """The endpoint of a run of this quality on a very large test set."""
    generator = np.random.default_rng(1)
    test = draw_test_set(20_000, cell.shares, (1, 1), generator)
    logits = draw_logits(test, [quality], generator, ordered=cell.ordered)
    return ENDPOINTS[cell.metric](test.targets, logits[0])


def quality_of(cell: Cell, score: float) -> float:
    """The quality with which a run scores so."""
    return float(brentq(lambda quality: score_at(cell, quality) - score, 0.05, 12, xtol=1e-3))


def simulate(job: tuple[Cell, int]) -> list[dict[str, object]]:
    """Rows of one cell: for each number of repetitions, what share of intervals held the truth."""
    cell, studies = job
    level = SCORES[cell.endpoint]
    middle = quality_of(cell, level)
    # Qualities are spread so that scores are, about linearly.
    slope = (score_at(cell, middle + 0.1) - score_at(cell, middle - 0.1)) / 0.2
    better = quality_of(cell, level + cell.margins * MARGIN) if cell.margins else middle
    spreads = [spread / slope for spread in SPREADS[cell.spread]]
    generator = np.random.default_rng(zlib.crc32(repr(cell).encode()))
    most = max(REPETITIONS)
    effects: dict[int, list[tuple[float, float, float]]] = {j: [] for j in REPETITIONS}
    for _ in range(studies):
        test = draw_test_set(cell.images, cell.shares, (1, cell.most_per_group), generator)
        qualities = [
            *(better + spreads[0] * generator.standard_normal(most)),
            *(middle + spreads[1] * generator.standard_normal(most)),
        ]
        logits = draw_logits(test, qualities, generator, ordered=cell.ordered)
        runs = jackknife(cell.metric, test.targets, logits, test.groups)
        covariance = runs.covariance
        for j in REPETITIONS:
            take = np.r_[0:j, most : most + j]
            effect = nested_effect(
                runs.scores[:j], runs.scores[most : most + j], covariance[np.ix_(take, take)]
            )
            effects[j].append((effect.difference, effect.low, effect.high))
    return [row for j in REPETITIONS for row in _rows(cell, j, np.array(effects[j]))]


def _rows(cell: Cell, j: int, effects: np.ndarray) -> list[dict[str, object]]:
    difference, low, high = effects.T
    # Where spreads are unequal, the curve from quality to score bends the mean of an arm.
    truth = difference.mean() if cell.spread == "unequal" or cell.margins else 0.0
    held = (low <= truth) & (truth <= high)
    wrong = ~((low <= truth) & (truth <= high))
    sizes = {"images": cell.images, "per group": f"1-{cell.most_per_group}"}
    kind = {"endpoint": cell.endpoint, "spread": cell.spread, **sizes}
    kind |= {"rarest": "5%" if cell.rare else "balanced", "repetitions": j}
    verdicts = {"superior": (low > 0).mean(), "width": np.median(high - low)}
    return [{**kind, "coverage": held.mean(), "wrong": wrong.mean(), **verdicts}]


def main(
    studies: int = 1000,
    power: bool = False,
    quick: bool = False,
    workers: int = 2,
    csv: Path | None = None,
    json: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Simulate studies and print how their intervals did."""
    kinds = list(cells(0.0))
    if power:
        kinds = [c for m in (1.0, 2.0, 4.0) for c in cells(m) if c.spread in ("small", "medium")]
    if quick:
        kinds, studies = [c for c in kinds if c.images == 150 and c.spread == "medium"], 40
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(simulate, [(cell, studies) for cell in kinds])
        table = pd.DataFrame([row for rows in found for row in rows])
    if csv is not None:
        table.to_csv(csv, index=False)
    by = ["endpoint", "spread", "repetitions"]
    rows = [
        Row(
            " ".join(map(str, name)),
            float(group["coverage"].mean()),
            "covered",
            "0.95",
            float(group["coverage"].mean() / 0.95),
        )
        for name, group in table.groupby(by, sort=False)
    ]
    publish(f"Coverage of 95% intervals, {studies} studies a cell", rows, json)


if __name__ == "__main__":
    typer.run(main)
