"""How often the interval of a comparison holds the truth, and how often its word is wrong.

Studies are simulated whose true difference is known: 0 (A/A), or 1, 2 or 4 margins in favor of the
first arm. Repetitions differ by chance, and so do patients and images. Of each kind of study: how
often the 95% interval holds the true difference, and how often each verdict is given. The full
run takes ten minutes of one core; it keeps each kind in the file of --csv, and goes on from there.

    python benchmarks/calibration.py [--studies N] [--jobs N] [--csv PATH] [--figure PATH]
                                     [--quick] [--json PATH]
"""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, get_args

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import typer
from table import Row, publish

from vitrial.compare.intervals import nested_effect
from vitrial.compare.jackknife import jackknife
from vitrial.compare.simulation import TestSet, draw_noise, draw_test_set, to_logits
from vitrial.compare.verdict import Verdict, verdict

REPETITIONS = (3, 5, 10)
IMAGES, PER_GROUP = (150, 500), (1, 5)
"""Of the test set, and at most of a patient."""
MARGINS = (0, 1, 2, 4)
"""True differences, in margins."""
POWER = 0.25
"""Share of the studies in which a difference is looked for, which needs less precision."""
MARGIN = 0.02
LEVELS = {"quadratic_kappa": 0.85, "balanced_accuracy": 0.80, "roc_auc": 0.88, "macro_auc": 0.88}
"""Endpoints, and the score between those of both arms, so that 4 margins more is below 1."""
SPREADS = {
    "small": (0.003, 0.003),
    "medium": (0.01, 0.01),
    "large": (0.03, 0.03),
    "unequal": (0.003, 0.03),
}
"""Standard deviation of the endpoint over repetitions of either arm, on endless test images."""
CLASSES = {"quadratic_kappa": 5, "balanced_accuracy": 4, "roc_auc": 2, "macro_auc": 4}
QUALITIES = np.geomspace(0.02, 12, 60)


@dataclass(frozen=True)
class Kind:
    """A kind of study.

    Attributes:
        endpoint: A key of `LEVELS`.
        spread: A key of `SPREADS`.
        images: Of the test set.
        per_group: Most images of a patient; each number from 1 on is as likely.
        rare: Whether one class has 5% of the images; else all have as many.
    """

    endpoint: str
    spread: str
    images: int
    per_group: int
    rare: bool

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
        count = CLASSES[self.endpoint]
        return [0.05] + [0.95 / (count - 1)] * (count - 1) if self.rare else [1 / count] * count


def kinds() -> Iterator[Kind]:
    """Every kind of study."""
    for choice in itertools.product(LEVELS, SPREADS, IMAGES, PER_GROUP, (False, True)):
        yield Kind(*choice)


def quality_curve(kind: Kind) -> Callable[[np.ndarray], np.ndarray]:
    """From the score of a run on endless images to the quality with which it scores so."""
    generator = np.random.default_rng(1)
    test = draw_test_set(20_000, kind.shares, (1, 1), generator)
    noise = draw_noise(test, 1, generator, ordered=kind.ordered)
    scores = [
        jackknife_score(kind, test, to_logits(test, np.array([q]), noise, ordered=kind.ordered))
        for q in QUALITIES
    ]
    rising = np.maximum.accumulate(scores)
    return lambda score: np.interp(score, rising, QUALITIES)


def jackknife_score(kind: Kind, test: TestSet, logits: np.ndarray) -> float:
    """The score of one run; images in few groups, for the deleted scores are not wanted."""
    return float(jackknife(kind.metric, test.targets, logits, test.targets).scores[0])


def simulate(job: tuple[Kind, int]) -> list[dict[str, object]]:
    """Of one kind of study, a row for each true difference and number of repetitions."""
    kind, studies = job
    quality_of = quality_curve(kind)
    generator = np.random.default_rng(zlib.crc32(repr(kind).encode()))
    most, level = max(REPETITIONS), LEVELS[kind.endpoint]
    found: dict[tuple[int, int], list[tuple[float, float, float]]] = {
        cell: [] for cell in itertools.product(MARGINS, REPETITIONS)
    }
    for study in range(studies):
        test = draw_test_set(kind.images, kind.shares, (1, kind.per_group), generator)
        noise = draw_noise(test, 2 * most, generator, ordered=kind.ordered)
        seeds = generator.standard_normal((2, most)) * np.array(SPREADS[kind.spread])[:, None]
        for margins in MARGINS:  # of the same noise: each is a study of its own
            if margins and study >= POWER * studies:
                break
            apart = margins * MARGIN / 2
            truth = (level + np.array([[apart], [-apart]]) + seeds).ravel()
            logits = to_logits(test, quality_of(truth), noise, ordered=kind.ordered)
            runs = jackknife(kind.metric, test.targets, logits, test.groups)
            covariance = runs.covariance
            for j in REPETITIONS:
                take = np.r_[0:j, most : most + j]
                effect = nested_effect(
                    runs.scores[:j], runs.scores[most : most + j], covariance[np.ix_(take, take)]
                )
                found[margins, j].append((effect.difference, effect.low, effect.high))
    return [
        {**asdict(kind), "margins": margins, "repetitions": j, "studies": len(effects)}
        | summary(np.array(effects), margins * MARGIN)
        for (margins, j), effects in found.items()
    ]


def summary(effects: np.ndarray, truth: float) -> dict[str, float]:
    """Shares of studies (n, 3: difference, low, high) whose interval holds the truth, and words.

    Without an interval a study holds nothing and is inconclusive: `none` is the share of these.
    """
    difference, low, high = effects.T
    words = Counter(verdict(a, b, MARGIN) for a, b in zip(low, high, strict=True))
    return {
        "coverage": float(((low <= truth) & (truth <= high)).mean()),
        "too_high": float((low > truth).mean()),
        "too_low": float((high < truth).mean()),
        "none": float(np.isnan(low).mean()),
        "mean_difference": float(difference.mean()),
        "width": float(np.nanmedian(high - low)),
        **{name: words[name] / len(effects) for name in get_args(Verdict)},
    }


def main(
    studies: Annotated[int, typer.Option(help="Simulated studies of each kind.")] = 1000,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 1,
    csv: Annotated[Path | None, typer.Option(help="Keep what is done here, and go on.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Draw the coverage of each kind.")] = None,
    quick: Annotated[bool, typer.Option(help="A few kinds and studies.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Simulate studies and print how their intervals and words did."""
    wanted = list(kinds())
    if quick:
        wanted = [k for k in wanted if k.images == 150 and k.spread == "medium"]
        studies = min(studies, 40)
    done = pd.read_csv(csv) if csv is not None and csv.exists() else pd.DataFrame()
    known = (
        set() if done.empty else {Kind(*row) for row in done[list(asdict(wanted[0]))].to_numpy()}
    )
    tables = [done]
    with ProcessPoolExecutor(jobs) as pool:
        for rows in pool.map(simulate, [(kind, studies) for kind in wanted if kind not in known]):
            tables.append(pd.DataFrame(rows))
            if csv is not None:
                pd.concat(tables).to_csv(csv, index=False)
    table = pd.concat(tables, ignore_index=True)
    if figure is not None:
        draw(table[table["margins"] == 0], figure)
    publish(f"95% intervals, {studies} studies of each kind", list(_rows(table)), json)


def draw(null: pd.DataFrame, path: Path) -> None:
    """A point for each kind of study without a difference: how often its interval holds 0."""
    panels, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True, sharey=True)
    places = {cell: x for x, cell in enumerate(itertools.product(SPREADS, REPETITIONS))}
    for ax, endpoint in zip(axes.flat, LEVELS, strict=True):
        ax.axhspan(0.94, 0.96, color="#d8dee4", linewidth=0)
        ax.axhline(0.95, color="#57606a", linewidth=0.8)
        of = null[null["endpoint"] == endpoint]
        for images, per_group, rare in itertools.product(IMAGES, PER_GROUP, (False, True)):
            same = (of["images"] == images) & (of["per_group"] == per_group)
            cells = of[same & (of["rare"] == rare)]
            x = [places[cell] for cell in zip(cells["spread"], cells["repetitions"], strict=True)]
            label = f"{images} images, {'1 a patient' if per_group == 1 else '1-5 a patient'}"
            label += ", rarest class 5%" if rare else ""
            marker, color = "os"[per_group > 1], plt.get_cmap("tab10")(images > 150)
            face = color if rare else "white"
            ax.plot(x, cells["coverage"], marker, color=color, mfc=face, ms=5, label=label)
        ax.set_title(endpoint.replace("_", " "), fontsize=10)
        ax.set_xticks(range(len(places)), [f"{s} {j}" for s, j in places], rotation=90, fontsize=7)
        ax.grid(axis="y", color="#eaeef2")
    axes[0, 0].set_ylim(0.85, 1.005)
    panels.supylabel("share of 95% intervals that hold the truth", fontsize=9)
    panels.supxlabel("spread of repetitions, and their number", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    panels.legend(handles, labels, loc="upper center", ncols=2, fontsize=7, frameon=False)
    panels.tight_layout(rect=(0, 0, 1, 0.88))
    panels.savefig(path, dpi=110)


def _rows(table: pd.DataFrame) -> Iterator[Row]:
    """Coverage by endpoint, spread and repetitions, and power by difference."""
    null = table[table["margins"] == 0]
    for name, cells in null.groupby(["endpoint", "spread", "repetitions"], sort=False):
        coverage = float(cells["coverage"].mean())
        what = "coverage: " + " ".join(map(str, name))
        yield Row(what, coverage, "of studies", "0.95", coverage / 0.95)
    for name, cells in table.groupby(["endpoint", "margins", "repetitions"], sort=False):
        what = "superior: {} {} margins {}".format(*name)
        yield Row(what, float(cells["superior"].mean()), "of studies")


if __name__ == "__main__":
    typer.run(main)
