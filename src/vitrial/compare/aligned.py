"""Predictions of all runs of a study on the same images, laid side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from vitrial.compare.intervals import Effect, nested_effect, single_effect
from vitrial.compare.jackknife import Jackknife, jackknife
from vitrial.compare.scores import logits_of
from vitrial.errors import VitrialError

Pair = tuple[str, str]
"""Two arms, of which the second is subtracted from the first."""


@dataclass(frozen=True)
class Aligned:
    """Runs on the images of one split.

    Attributes:
        runs: (runs,) the name of each run.
        arms: (runs,) the arm of each.
        images: A row per image: `image`, `label`, `group`, `target` and the data set's metadata.
        logits: (runs, n, classes).
    """

    runs: tuple[str, ...]
    arms: tuple[str, ...]
    images: pd.DataFrame
    logits: np.ndarray

    @property
    def targets(self) -> np.ndarray:
        """(n,) class indices."""
        return self.images["target"].to_numpy(dtype=np.int64)

    @property
    def groups(self) -> np.ndarray:
        """(n,) the patient or lesion of each image."""
        return self.images["group"].to_numpy()

    def scored(self, metric: str) -> Jackknife:
        """Every run's value of a metric, with and without each group."""
        return jackknife(metric, self.targets, self.logits, self.groups)

    def only(self, rows: np.ndarray) -> Aligned:
        """The images where `rows` (n,) is true."""
        images = self.images[rows].reset_index(drop=True)
        return replace(self, images=images, logits=self.logits[:, rows])

    def with_logits(self, logits: np.ndarray) -> Aligned:
        """The same runs and images with other logits."""
        return replace(self, logits=logits)

    def log_odds(self, c: int) -> np.ndarray:
        """(runs, n) the logarithm of the odds of class `c` against all others."""
        others = np.delete(self.logits, c, axis=-1).astype(np.float64)
        return np.asarray(self.logits[..., c] - logsumexp(others, axis=-1))


def align(
    runs: Sequence[tuple[str, str, pd.DataFrame]], split: str, manifest: pd.DataFrame | None = None
) -> Aligned:
    """Lay the predictions of runs side by side.

    Args:
        runs: Of each its name, its arm and its predictions: columns `image`, `label`, `group`,
            `split`, `target` and `logit_0` ... for each class.
        split: `val` or `test`.
        manifest: The data set, whose further columns are taken along.

    Raises:
        VitrialError: Two runs differ in their images, targets or groups.
    """
    keys = ["image", "label", "group", "target"]
    tables = [
        table[table["split"] == split].sort_values("image", ignore_index=True)
        for _, _, table in runs
    ]
    images = tables[0][keys]
    for (name, _, _), table in zip(runs, tables, strict=True):
        if not table[keys].equals(images):
            raise VitrialError(
                f"{name} predicted other {split} images than {runs[0][0]}, or other labels or "
                "groups: only runs of the same data and split can be compared."
            )
    if manifest is not None:
        further = manifest.columns.difference([*keys, "split", "row", "mask"], sort=False)
        images = images.merge(manifest[["image", *further]], on="image", how="left")
    return Aligned(
        tuple(name for name, _, _ in runs),
        tuple(arm for _, arm, _ in runs),
        images,
        np.stack([logits_of(table) for table in tables]),
    )


def effects(
    scored: Jackknife, arms: Sequence[str], pairs: Sequence[Pair], level: float = 0.95
) -> pd.DataFrame:
    """The mean of each arm and the difference of each pair, with intervals.

    Intervals count repetitions and groups: see `vitrial.compare.intervals`.

    Args:
        scored: Of the runs.
        arms: (runs,) the arm of each.
        pairs: What is subtracted from what.
        level: Of the intervals.

    Returns:
        A row per arm, then a row per pair. Columns `arm`, `less` (the arm that is subtracted, or
        nothing), `value`, `low`, `high`, `repetitions` (of the arm with fewest). Ends are NaN where
        a class has all its images in one group.
    """
    names = np.array(arms)
    places = {arm: np.flatnonzero(names == arm) for arm in dict.fromkeys(arms)}
    covariance = scored.covariance
    rows = []
    for arm, at in places.items():
        effect = single_effect(scored.scores[at], covariance[np.ix_(at, at)], level)
        rows.append(_row(arm, "", effect))
    for arm, less in pairs:
        at = np.concatenate([places[arm], places[less]])
        first, second = scored.scores[places[arm]], scored.scores[places[less]]
        effect = nested_effect(first, second, covariance[np.ix_(at, at)], level)
        rows.append(_row(arm, less, effect))
    return pd.DataFrame(rows)


def _row(arm: str, less: str, effect: Effect) -> dict[str, object]:
    ends = {"value": effect.difference, "low": effect.low, "high": effect.high}
    return {"arm": arm, "less": less, **ends, "repetitions": min(effect.repetitions)}
