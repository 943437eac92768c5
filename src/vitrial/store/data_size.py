"""What more training images give each arm of a study, and where one catches up with another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vitrial.compare.cautions import Run, comparable_runs
from vitrial.compare.curves import (
    CatchUp,
    Curve,
    PowerLaw,
    catch_up,
    learning_curves,
    power_law,
)
from vitrial.compare.jackknife import jackknife
from vitrial.compare.scores import logits_of
from vitrial.metrics import ENDPOINTS
from vitrial.protocol import Protocol
from vitrial.store.finished import FinishedRun
from vitrial.store.trial import comparisons_of


@dataclass(frozen=True)
class DataSize:
    """The endpoint over the number of training images.

    Attributes:
        endpoint: The protocol's.
        curves: One for each arm with a finished run.
        crossings: For each registered pair of arms, treatment and control, where the one that is
            behind on the smallest part catches up with the other: its name, the other's, and the
            size; None where none is behind or the sizes differ.
        laws: Of each arm a power law, or in words why there is none.
    """

    endpoint: str
    curves: tuple[Curve, ...]
    crossings: tuple[tuple[str, str, CatchUp], ...]
    laws: dict[str, PowerLaw | str]

    def table(self) -> pd.DataFrame:
        """A row per arm and size: `arm`, `images`, `mean`, `low`, `high`, `repetitions`."""
        return pd.DataFrame(
            {
                "arm": curve.arm,
                "images": int(size),
                "mean": effect.difference,
                "low": effect.low,
                "high": effect.high,
                "repetitions": effect.repetitions[0],
            }
            for curve in self.curves
            for size, effect in zip(curve.images, curve.effects, strict=True)
        )

    def sentences(self) -> list[str]:
        """Where one arm catches up with another, and what twice the data would give."""
        said = [found.sentence(arm, other) for arm, other, found in self.crossings]
        label, largest = ENDPOINTS[self.endpoint].label, max(c.images[-1] for c in self.curves)
        for arm, law in self.laws.items():
            if isinstance(law, str):
                said.append(f"{arm}: {law}.")
            else:
                reach = 1.96 * law.doubled_error
                said.append(
                    f"{arm}: by a power law of exponent {law.exponent:.2f}, twice as many training "
                    f"images ({2 * largest:,}) give {label} {law.doubled:.3f} "
                    f"[{law.doubled - reach:.3f}, {law.doubled + reach:.3f}]."
                )
        return said


def data_size(protocol: Protocol, finished: Sequence[FinishedRun]) -> DataSize | None:
    """The endpoint of a protocol's finished runs over data size; None if they are of one size."""
    if len({run.entry.fraction for run in finished}) < 2:
        return None
    runs = [  # of several sizes: numbered throughout
        Run(run.entry.arm, number, run.test) for number, run in enumerate(finished)
    ]
    comparable, _ = comparable_runs(runs)
    images = _images(finished)
    sizes = [images[finished[run.repetition].entry.fraction] for run in comparable]
    endpoint = protocol.endpoint
    test = comparable[0].test
    found = jackknife(
        endpoint,
        test["target"].to_numpy(),
        [logits_of(run.test) for run in comparable],
        test["group"].to_numpy(),
    )
    arms = [run.arm for run in comparable]
    curves, covariance = learning_curves(arms, sizes, found.scores, found.covariance)
    higher = ENDPOINTS[endpoint].higher_is_better
    return DataSize(
        endpoint,
        tuple(curves),
        tuple(_crossings(protocol, curves, covariance)),
        {curve.arm: power_law(curve, covariance, higher) for curve in curves},
    )


def _images(runs: Sequence[FinishedRun]) -> dict[float, int]:
    """Training images of each fraction; draws of whole groups differ a little: their median."""
    seen: dict[float, list[int]] = {}
    for run in runs:
        seen.setdefault(run.entry.fraction, []).append(run.result.images or 0)
    return {fraction: int(np.median(counts)) for fraction, counts in seen.items()}


def _crossings(
    protocol: Protocol, curves: list[Curve], covariance: np.ndarray
) -> list[tuple[str, str, CatchUp]]:
    metric, by_arm = ENDPOINTS[protocol.endpoint], {curve.arm: curve for curve in curves}
    pairs = {
        frozenset((one.treatment, one.control)): (one.treatment, one.control)
        for one in comparisons_of(protocol)
    }
    found = []
    for first, second in pairs.values():
        if first not in by_arm or second not in by_arm:
            continue
        a, b = by_arm[first], by_arm[second]
        if not np.array_equal(a.images, b.images):
            continue
        if metric.gain(a.means[0]) > metric.gain(b.means[0]):
            a, b = b, a
        found.append((a.arm, b.arm, catch_up(a, b, covariance, metric.higher_is_better)))
    return found
