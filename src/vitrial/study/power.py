"""What a protocol's trial can prove, before anything is trained: no image is opened."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from vitrial.compare.findings import Finding, Registered
from vitrial.compare.jackknife import jackknife
from vitrial.compare.outlook import Outlook, about_test_split
from vitrial.compare.planning import Design, Noise
from vitrial.compare.sentences import NONE, wrapped
from vitrial.compare.simulation import TestSet, draw_logits, draw_test_set
from vitrial.data.sources import load_dataset
from vitrial.data.split import split_manifest
from vitrial.errors import VitrialError
from vitrial.metrics import ENDPOINTS
from vitrial.protocol import Protocol
from vitrial.store.trial import comparisons_of
from vitrial.tasks import task_of

DEVIATION = 0.01
"""Of an arm's scores over repetitions, where nothing better is known: an assumption."""
EXPECTED = {"quadratic_kappa": 0.89, "balanced_accuracy": 0.83, "roc_auc": 0.95}
"""Scores to expect where nothing better is known: about those of the pretrained arms of the paper's
Table 1. Other endpoints are taken at the quality that has this balanced accuracy."""
SHARED, BY_ARM = 0.6, 0.2
"""Shares of an image's difficulty that all runs have in common, and the runs of one arm. With them,
two runs of an arm correlate over patients by more than runs of two arms do: by 0.14 for kappa, 0.17
for balanced accuracy, 0.24 for the ROC-AUC. In two small real studies (ResNet18 and DeiT-Ti from
random weights on HAM10000, as in examples/ham10000_explanations.yaml) it was 0.10 and 0.21, 0.01
and 0.36, 0.04 and 0.18."""
DRAWS = 40
"""Simulated test sets over which variances are averaged: about 5% of them is left to chance."""
STRICTEST = (
    "Power is for the strictest step of Holm's adjustment: alpha divided by the claims of a family."
)
BIG = 20_000
"""Images on which a quality's true score is found."""


def plan_trial(
    protocol: Protocol,
    *,
    earlier: Sequence[Finding] = (),
    score: float | None = None,
    deviation: float = DEVIATION,
) -> str:
    """What a protocol's trial can prove, in sentences; see `outlooks`.

    Raises:
        DataError: The data set cannot be divided.
        VitrialError: It cannot be read, or no model has such a score.
    """
    test, classes = planned_test_split(protocol)
    found = outlooks(protocol, test, earlier=earlier, score=score, deviation=deviation)
    if not found:
        return NONE
    groups = len(np.unique(test.groups))
    about = [about_test_split(test, classes), _assumed(protocol, found, score, deviation)]
    lines = [wrapped(sentence) for sentence in [*about, STRICTEST]]
    for outlook in found:
        first, *rest = outlook.sentences(groups)
        lines += [wrapped(first), *(wrapped(line, "  ") for line in rest)]
    return "\n".join(lines)


def _assumed(
    protocol: Protocol, found: Sequence[Outlook], score: float | None, deviation: float
) -> str:
    if all(outlook.measured for outlook in found):
        return "Spread over runs and patients: that of the earlier study."
    expected = score if score is not None else EXPECTED.get(protocol.endpoint)
    some_measured = any(outlook.measured for outlook in found)
    begin = "Where the earlier study lacks an endpoint, assumed" if some_measured else "Assumed"
    level = "" if expected is None else f"a {ENDPOINTS[protocol.endpoint].label} of {expected:g}, "
    return (
        f"{begin}: {level}a standard deviation of {deviation:g} over repetitions, and two arms "
        "that err on partly different images. An earlier study of yours knows better: --study."
    )


def outlooks(
    protocol: Protocol,
    test: TestSet,
    *,
    earlier: Sequence[Finding] = (),
    score: float | None = None,
    deviation: float = DEVIATION,
) -> list[Outlook]:
    """What a protocol's trial can prove of each registered comparison.

    Args:
        protocol: The experiment.
        test: Its test split, from `planned_test_split`.
        earlier: Findings of an earlier study, whose noise counts for the same two arms, scaled to
            the number of patients; other pairs have the largest noise of the same endpoint.
        score: Expected score of the protocol's endpoint; `EXPECTED` if left out.
        deviation: Expected standard deviation of an arm's scores over repetitions.

    Raises:
        VitrialError: No model has such a score.
    """
    comparisons = comparisons_of(protocol)
    families = [one.family for one in comparisons]
    groups = len(np.unique(test.groups))
    found = []
    for one in comparisons:
        claims = families.count(one.family)
        noise = _measured(one, earlier, groups)
        measured = noise is not None
        if noise is None:
            level = (score, score) if score and one.endpoint == protocol.endpoint else None
            noise = expected_noise(one.endpoint, test, level, (deviation, deviation))
        design = Design(one.claim, one.margin, one.alpha / claims, noise, protocol.repetitions)
        found.append(Outlook(one, claims, design, measured))
    return found


def planned_test_split(protocol: Protocol) -> tuple[TestSet, list[str]]:
    """The test split of a protocol's data, and its classes: listed, without opening an image.

    Images that cannot be read, and copies of images, are found when they are decoded.

    Raises:
        DataError: The data set cannot be divided.
        VitrialError: It cannot be read.
    """
    listed = load_dataset(protocol.data)
    manifest = listed.manifest.assign(split=split_manifest(listed.manifest, protocol.split))
    test = manifest[manifest["split"] == "test"]
    return as_test_set(test, listed.classes), list(listed.classes)


def as_test_set(test: pd.DataFrame, classes: Sequence[str]) -> TestSet:
    """The rows of a test split as class indices and numbered groups."""
    targets = test["label"].map(list(classes).index).to_numpy(dtype=np.int64)
    _, groups = np.unique(test["group"].astype(str), return_inverse=True)
    return TestSet(targets, groups, len(classes))


def expected_noise(
    endpoint: str,
    test: TestSet,
    scores: tuple[float, float] | None = None,
    deviations: tuple[float, float] = (DEVIATION, DEVIATION),
    by_arm: float = BY_ARM,
) -> Noise:
    """The noise of two arms on a test split, by simulation.

    Args:
        endpoint: The metric.
        test: The test split.
        scores: What each arm is expected to have; `EXPECTED` if left out.
        deviations: Of each arm's scores over repetitions, as tables show it. What a run's own
            errors on the test images add is part of it; it cannot be less.
        by_arm: Share of an image's difficulty that the runs of one arm have in common.

    Raises:
        VitrialError: No model has such a score.
    """
    counts = np.bincount(test.targets, minlength=test.classes)
    shares = tuple((counts / counts.sum()).tolist())
    of = endpoint if scores is not None or endpoint in EXPECTED else "balanced_accuracy"
    first, second = (_quality(of, shares, score) for score in scores or (EXPECTED[of],) * 2)
    generator = np.random.default_rng(0)
    draws = []
    for _ in range(DRAWS):
        logits = draw_logits(
            test,
            (first, first, second, second),
            generator,
            ordered=task_of(endpoint).ordered,
            shared=SHARED,
            arms=(0, 0, 1, 1),
            by_arm=by_arm,
        )
        c = jackknife(endpoint, test.targets, logits, test.groups).covariance
        alone = [(c[0, 0] + c[1, 1]) / 2 - c[0, 1], (c[2, 2] + c[3, 3]) / 2 - c[2, 3]]
        draws.append([*alone, c[0, 1] + c[2, 3] - 2 * c[:2, 2:].mean()])
    own_a, own_b, tau2 = (float(v) for v in np.maximum(np.mean(draws, axis=0), 0))
    training_a = max(deviations[0] ** 2 - own_a, 0) ** 0.5
    training_b = max(deviations[1] ** 2 - own_b, 0) ** 0.5
    return Noise((training_a, training_b), (own_a**0.5, own_b**0.5), tau2**0.5)


def _measured(one: Registered, earlier: Sequence[Finding], groups: int) -> Noise | None:
    known = [f for f in earlier if f.noise is not None and f.registered.endpoint == one.endpoint]
    arms = {one.treatment, one.control}
    same = [f for f in known if {f.registered.treatment, f.registered.control} == arms]
    scaled = [f.noise.with_patients(groups / f.groups) for f in same or known if f.noise]
    return max(scaled, key=lambda noise: noise.error(5), default=None)


@cache
def _quality(endpoint: str, shares: tuple[float, ...], score: float) -> float:
    """The quality with which a simulated run has a score on a very large test set."""
    metric = ENDPOINTS[endpoint]
    test = draw_test_set(BIG, shares, (1, 1), np.random.default_rng(1))

    def above(quality: float) -> float:
        generator = np.random.default_rng(1)
        logits = draw_logits(test, [quality], generator, ordered=task_of(metric.name).ordered)
        return metric(test.targets, logits[0]) - score

    worst, best = 0.05, 12.0
    if above(worst) * above(best) > 0:
        raise VitrialError(f"No model has a {metric.label} of {score:g}: expect another score.")
    return float(brentq(above, worst, best, xtol=1e-3))
