"""The trial's answers: each registered comparison with its effect, its word and what became of it.

All runs of a study are deleted from alike, so that one matrix of covariances (see
`vitrial.compare.jackknife`) serves every comparison of an endpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from vitrial.compare.cautions import (
    Run,
    comparable_runs,
    of_constant_answers,
    of_counts,
    of_the_test_set,
)
from vitrial.compare.intervals import Effect, nested_effect
from vitrial.compare.jackknife import Jackknife, jackknife
from vitrial.compare.multiplicity import holm
from vitrial.compare.planning import Noise, noise_of
from vitrial.compare.predictions import improvement
from vitrial.compare.scores import logits_of
from vitrial.compare.verdict import Verdict, verdict
from vitrial.metrics import ENDPOINTS
from vitrial.protocol.comparison import Claim, RegisteredComparison

Outcome = Literal["upheld", "not upheld", "undecided"]


@dataclass(frozen=True)
class Registered:
    """A comparison as it is judged, with all that the protocol states for it.

    Attributes:
        treatment: Name of the arm that the claim speaks of.
        control: Name of the arm that it is compared with.
        claim: What the treatment is claimed to be.
        endpoint: The metric.
        margin: Smallest difference that matters.
        alpha: Two-sided error.
        family: Claims that are adjusted together.
        starts: Initializations of both arms, where their names do not say them.
    """

    treatment: str
    control: str
    claim: Claim
    endpoint: str
    margin: float
    alpha: float
    family: str
    starts: tuple[str, str] = ("", "")


def registered(
    comparisons: Sequence[RegisteredComparison],
    endpoint: str,
    margin: float,
    starts: Mapping[str, str] = MappingProxyType({}),
) -> list[Registered]:
    """The comparisons of a protocol, with its endpoint and margin where they state none.

    Args:
        comparisons: Of the protocol.
        endpoint: Likewise.
        margin: Likewise.
        starts: Initialization by arm, for arms whose names do not say it.
    """
    return [
        Registered(
            treatment=one.treatment,
            control=one.control,
            claim=one.claim,
            endpoint=one.endpoint or endpoint,
            margin=margin if one.margin is None else one.margin,
            alpha=one.alpha,
            family=one.family,
            starts=(starts.get(one.treatment, ""), starts.get(one.control, "")),
        )
        for one in comparisons
    ]


@dataclass(frozen=True)
class Finding:
    """What the runs say of a registered comparison.

    Attributes:
        registered: The comparison.
        effect: Treatment less control, in the endpoint's own units, at level 1 - alpha; None where
            an arm has no run.
        verdict: What the interval says; in favor of the treatment where that is better.
        outcome: Of the claim, adjusted for the number of claims in its family.
        p: One-sided p-value of the claim on its own, of equivalence the larger one; NaN without an
            interval.
        p_adjusted: The same after Holm's adjustment within the family.
        claims: How many the family has.
        probability: How often a run of the treatment beats one of the control, ties by half; NaN
            with a single run of either.
        runs: Of the treatment and of the control.
        images: In the test split.
        groups: Patients or lesions in the test split.
        cautions: What limits the answer, each a sentence.
        noise: What makes it uncertain, for planning; None where an arm has a single run.
    """

    registered: Registered
    effect: Effect | None
    verdict: Verdict
    outcome: Outcome
    p: float
    p_adjusted: float
    claims: int
    probability: float
    runs: tuple[int, int]
    images: int
    groups: int
    cautions: tuple[str, ...]
    noise: Noise | None = None


def find(comparisons: Sequence[Registered], runs: Sequence[Run], planned: int) -> list[Finding]:
    """Judge every registered comparison.

    Args:
        comparisons: In the order in which they are answered.
        runs: All finished runs of the study. Those whose predictions are not finite, or of other
            images, classes or targets than most, are left out, which is said.
        planned: Repetitions of an arm.

    Returns:
        A finding for each comparison, in their order.
    """
    comparable, left_out = comparable_runs(runs)
    judged = {
        endpoint: _judged(endpoint, comparable)
        for endpoint in dict.fromkeys(one.endpoint for one in comparisons)
        if comparable
    }
    found = [
        _find(one, judged.get(one.endpoint), comparable, planned, left_out) for one in comparisons
    ]
    return adjusted(found)


def p_of_claim(claim: Claim, effect: Effect, margin: float, higher_is_better: bool) -> float:
    """One-sided p-value of a claim on its own; of equivalence the larger of the two.

    Args:
        claim: What the treatment is claimed to be.
        effect: Treatment less control.
        margin: Smallest difference that matters.
        higher_is_better: Direction of the endpoint.
    """
    if claim == "equivalent":
        return max(effect.p_above(-margin), effect.p_below(margin))
    worse = 0.0 if claim == "superior" else -margin
    return effect.p_above(worse) if higher_is_better else effect.p_below(-worse)


def adjusted(found: Sequence[Finding]) -> list[Finding]:
    """The findings with p-values for as many claims as their family has, and what became of each.

    A claim that is only upheld without the adjustment is undecided.
    """
    families: dict[str, list[int]] = {}
    for place, finding in enumerate(found):
        families.setdefault(finding.registered.family, []).append(place)
    result = list(found)
    for places in families.values():
        for place, p in zip(places, holm([found[i].p for i in places]), strict=True):
            finding = replace(found[place], p_adjusted=p, claims=len(places))
            result[place] = replace(finding, outcome=_outcome(finding))
    return result


def _outcome(finding: Finding) -> Outcome:
    one, effect = finding.registered, finding.effect
    if effect is None or math.isnan(effect.low):
        return "undecided"
    low, high = _gains(one.endpoint, effect)
    refuted = {
        "superior": finding.verdict in ("inferior", "equivalent"),
        "equivalent": low >= one.margin or high <= -one.margin,
        "non-inferior": high <= -one.margin,
    }[one.claim]
    if refuted:
        return "not upheld"
    return "upheld" if finding.p_adjusted <= one.alpha / 2 else "undecided"


def _gains(endpoint: str, effect: Effect) -> tuple[float, float]:
    """The ends of an interval, turned so that higher is better for the treatment."""
    gain = ENDPOINTS[endpoint].gain
    low, high = sorted((gain(effect.low), gain(effect.high)))
    return low, high


@dataclass(frozen=True)
class _Judged:
    """What the comparisons of one endpoint share: scores of all runs, and their covariances."""

    jackknife: Jackknife
    covariance: np.ndarray


def _judged(endpoint: str, runs: Sequence[Run]) -> _Judged:
    first = runs[0].test
    logits = [logits_of(run.test) for run in runs]
    groups = first["group"].to_numpy()
    result = jackknife(endpoint, first["target"].to_numpy(int), logits, groups)
    return _Judged(result, result.covariance)


def _find(
    one: Registered,
    judged: _Judged | None,
    runs: Sequence[Run],
    planned: int,
    left_out: Sequence[str],
) -> Finding:
    arms = (one.treatment, one.control)
    places = [[i for i, run in enumerate(runs) if run.arm == arm] for arm in arms]
    counts = (len(places[0]), len(places[1]))
    cautions = [*of_counts(arms, counts, planned), *left_out]
    test = runs[0].test if runs else pd.DataFrame({"group": []})
    finding = Finding(
        registered=one,
        effect=None,
        verdict="inconclusive",
        outcome="undecided",
        p=math.nan,
        p_adjusted=math.nan,
        claims=1,
        probability=math.nan,
        runs=counts,
        images=len(test),
        groups=test["group"].nunique(),
        cautions=tuple(cautions),
    )
    if judged is None or not all(counts):
        return finding
    both = places[0] + places[1]
    first, second = (judged.jackknife.scores[place] for place in places)
    covariance = judged.covariance[np.ix_(both, both)]
    effect = nested_effect(first, second, covariance, 1 - one.alpha)
    metric = ENDPOINTS[one.endpoint]
    low, high = _gains(one.endpoint, effect)
    gains = [np.array([metric.gain(score) for score in scores]) for scores in (first, second)]
    cautions += of_the_test_set(one.endpoint, test, judged.jackknife)
    cautions += of_constant_answers([runs[i] for i in both])
    return replace(
        finding,
        effect=effect,
        verdict=verdict(low, high, one.margin),
        p=p_of_claim(one.claim, effect, one.margin, metric.higher_is_better),
        probability=improvement(*gains) if min(counts) > 1 else math.nan,
        cautions=tuple(cautions),
        noise=noise_of(first, second, covariance),
    )
