"""How often the interval of the size where two learning curves cross holds the true size.

One arm scores 0.8 at every size; the other gains 0.05 per e-fold of images and meets it at 700.
Runs vary by 0.01, and the patients of the test set move all of them together by 0.02. The interval
at level 95% should hold 700 in 95% of the studies.

    python benchmarks/curves.py [--quick] [--studies N] [--json PATH]
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from table import Row, publish

from vitrial.compare.curves import catch_up, learning_curves

SIZES = (125, 250, 500, 1000, 2000)
CROSSING, SLOPE = 700, 0.05
RUNS_SPREAD, PATIENTS_SPREAD = 0.01, 0.02


def coverage(repetitions: int, studies: int) -> float:
    """How often the interval held the true crossing."""
    cells = [(arm, n) for arm in ("vit", "cnn") for n in SIZES for _ in range(repetitions)]
    arms, images = [arm for arm, _ in cells], [n for _, n in cells]
    truth = [0.8 + SLOPE * np.log(n / CROSSING) * (arm == "vit") for arm, n in cells]
    covariance = np.full((len(cells), len(cells)), PATIENTS_SPREAD**2)
    held = 0
    for study in range(studies):
        generator = np.random.default_rng(study)
        noise = generator.normal(0, RUNS_SPREAD, len(cells))
        scores = np.array(truth) + noise + generator.normal(0, PATIENTS_SPREAD)
        (vit, cnn), joint = learning_curves(arms, images, scores, covariance)
        found = catch_up(vit, cnn, joint)
        held += found.low <= CROSSING <= found.high
    return held / studies


def main(
    quick: bool = False, studies: int = 600, json: Annotated[Path | None, typer.Option()] = None
) -> None:
    """Simulate studies and print how often their intervals held the crossing."""
    studies = 100 if quick else studies
    rows = []
    for repetitions in (3, 5, 10):
        held = coverage(repetitions, studies)
        rows.append(Row(f"{repetitions} repetitions", held, "covered", "0.95", held / 0.95))
    publish(f"Coverage of the crossing's interval, {studies} studies", rows, json)


if __name__ == "__main__":
    typer.run(main)
