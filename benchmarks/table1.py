"""What the verdict says of the paper's Table 1: which of its claims five repetitions uphold.

The table has medians; the deviations and the predictions behind them are not at hand. So the
medians are taken as means, the deviation over repetitions is scanned over a usual range, and what
patients add is simulated on test sets of the paper's sizes and shares of classes, at the paper's
scores, for arms that err more and less alike. docs/table1.md explains the result.

    python benchmarks/table1.py [--repetitions J] [--margin M] [--json PATH]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student
from table import Row, write_rows

from vitrial.compare.findings import Finding, Registered, adjusted, p_of_claim
from vitrial.compare.intervals import Effect
from vitrial.compare.planning import Design, Noise
from vitrial.compare.published import PUBLISHED
from vitrial.compare.simulation import TestSet
from vitrial.compare.verdict import verdict
from vitrial.protocol.comparison import Claim
from vitrial.study.power import expected_noise

DEVIATIONS = (0.003, 0.005, 0.01, 0.02, 0.03)
"""Over repetitions, of both arms."""
BY_ARM = (0.05, 0.2, 0.35)
"""How differently the two arms err: shares of an image's difficulty that are an arm's own."""
REPETITIONS, MARGIN = 5, 0.02


@dataclass(frozen=True)
class DataSet:
    """A column of Table 1.

    Attributes:
        name: As the page calls it.
        endpoint: The paper's.
        counts: Test images of each class.
        medians: By initialization: ResNet50, DeiT-S.
    """

    name: str
    endpoint: str
    counts: tuple[int, ...]
    medians: dict[str, tuple[float, float]]


def _tenth(counts: Sequence[int], images: int) -> tuple[int, ...]:
    """Images of each class in a test set of so many."""
    return tuple(round(images * count / sum(counts)) for count in counts)


_ISIC = (4522, 12875, 3323, 867, 2624, 239, 253, 628)
_APTOS = (1805, 370, 999, 193, 295)
DATA = (
    DataSet(
        "APTOS 2019",
        "quadratic_kappa",
        _tenth(_APTOS, 549),
        PUBLISHED["aptos2019"].medians,
    ),
    DataSet(
        "ISIC 2019",
        "balanced_accuracy",
        _tenth(_ISIC, 2533),
        PUBLISHED["isic2019"].medians,
    ),
    DataSet("DDSM, 310 images", "roc_auc", (155, 155), PUBLISHED["cbis_ddsm"].medians),
    DataSet("DDSM, 1,024 images", "roc_auc", (512, 512), PUBLISHED["cbis_ddsm"].medians),
)
"""Classes by the public tables of labels. The size of the test set of DDSM is not certain here:
half of the images have a mass, of a tenth of CBIS-DDSM's 3,103 mammograms or of thrice as many."""
CLAIMS: dict[str, Claim] = {
    "random": "superior",
    "imagenet": "equivalent",
    "imagenet+dino": "superior",
}
"""The paper's: of the CNN from scratch, of the transformer otherwise."""


BY_NAME = {data.name: data for data in DATA}


def noise_of(data: DataSet, start: str, deviation: float, by_arm: float) -> Noise:
    """What makes a row of the table uncertain: of ResNet50 and DeiT-S."""
    noise = _of_patients(data.name, start, by_arm)
    training = [math.sqrt(max(deviation**2 - own**2, 0)) for own in noise.own]
    return replace(noise, training=(training[0], training[1]))


@cache
def _of_patients(name: str, start: str, by_arm: float) -> Noise:
    data = BY_NAME[name]
    targets = np.repeat(np.arange(len(data.counts)), data.counts)
    test = TestSet(targets, np.arange(len(targets)), len(data.counts))
    return expected_noise(data.endpoint, test, data.medians[start], (0, 0), by_arm)


def findings_of(
    data: DataSet,
    deviation: float,
    by_arm: float = 0.2,
    repetitions: int = REPETITIONS,
    margin: float = MARGIN,
) -> list[Finding]:
    """The verdict on a column of the table: its three claims, as one family."""
    found = []
    for start, claim in CLAIMS.items():
        cnn, vit = data.medians[start]
        names = [f"resnet50 / {start}", f"deit_small_patch16_224 / {start}"]
        ahead, behind, difference = (*names, cnn - vit)
        if start != "random":
            ahead, behind, difference = behind, ahead, -difference
        noise = noise_of(data, start, deviation, by_arm)
        # The table's deviation counts as it is, even below what a run's own errors come to.
        variance = 2 * deviation**2 / repetitions + noise.patients**2
        df = variance**2 / (2 * deviation**4 / (repetitions**2 * (repetitions - 1)))
        error = math.sqrt(variance)
        reach = float(student.ppf(0.975, df)) * error
        low, high = difference - reach, difference + reach
        spread, nan = (deviation**2, deviation**2), math.nan
        effect = Effect(
            difference, error, df, low, high, spread, (nan, nan), nan, noise.patients**2,
            (repetitions, repetitions),
        )  # fmt: skip
        found.append(
            Finding(
                registered=Registered(ahead, behind, claim, data.endpoint, margin, 0.05, "paper"),
                effect=effect,
                verdict=verdict(low, high, margin),
                outcome="undecided",
                p=p_of_claim(claim, effect, margin, True),
                p_adjusted=nan,
                claims=1,
                probability=nan,
                runs=(repetitions, repetitions),
                images=sum(data.counts),
                groups=sum(data.counts),
                cautions=(),
                noise=noise,
            )
        )
    return adjusted(found)


def within_a_hundredth(data: DataSet, deviation: float, by_arm: float = 0.2) -> Design:
    """The claim that the pretrained arms of a column are equivalent within 0.01."""
    noise = noise_of(data, "imagenet", deviation, by_arm)
    return Design("equivalent", 0.01, 0.05, noise, REPETITIONS)


def main(
    repetitions: int = REPETITIONS,
    margin: float = MARGIN,
    json: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Print the verdict on each claim at each deviation, and write the shares that are upheld."""
    console, rows = Console(width=120), []
    for by_arm in BY_ARM:
        title = f"Outcome, half-width of the interval; {by_arm:g} of the difficulty is an arm's own"
        names = ["data", "initialization", "claim", "difference"]
        table = Table(*names, *(f"sd {d:g}" for d in DEVIATIONS), title=title)
        for data in DATA:
            found = [findings_of(data, d, by_arm, repetitions, margin) for d in DEVIATIONS]
            for start, of_claim in zip(CLAIMS, zip(*found, strict=True), strict=True):
                ahead = "CNN" if start == "random" else "ViT"
                halves = [_half(finding) for finding in of_claim]
                table.add_row(
                    data.name,
                    start,
                    f"{ahead} {CLAIMS[start]}",
                    f"{_difference(of_claim[0]):+.3f}",
                    *(f"{f.outcome} ±{h:.3f}" for f, h in zip(of_claim, halves, strict=True)),
                )
                rows += [
                    Row(f"{data.name}, {start}, sd {d:g}, own {by_arm:g}", half, finding.outcome)
                    for d, half, finding in zip(DEVIATIONS, halves, of_claim, strict=True)
                ]
        console.print(table)
    for data in DATA:
        for by_arm in BY_ARM:
            design = within_a_hundredth(data, 0.005, by_arm)
            console.print(
                f"{data.name}, own {by_arm:g}: equivalence within 0.01 at sd 0.005 needs "
                f"{design.repetitions_needed()} repetitions; tau {design.noise.patients:.4f}, "
                f"power without end of repetitions "
                f"{Design('equivalent', 0.01, 0.05, design.noise, math.inf).power():.2f}"
            )
    if json is not None:
        write_rows(rows, json)


def _half(finding: Finding) -> float:
    assert finding.effect is not None
    return (finding.effect.high - finding.effect.low) / 2


def _difference(finding: Finding) -> float:
    assert finding.effect is not None
    return finding.effect.difference


if __name__ == "__main__":
    typer.run(main)
