"""What a trial can prove, and what it would take, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitrial.compare.findings import Finding, Registered
from vitrial.compare.planning import POWER, Design
from vitrial.compare.simulation import TestSet
from vitrial.metrics import ENDPOINTS


@dataclass(frozen=True)
class Outlook:
    """What the trial can prove of a registered comparison.

    Attributes:
        registered: The comparison.
        claims: How many its family has: alpha is divided among them, which Holm asks at worst.
        design: Claim, margin, alpha, noise, repetitions.
        measured: Whether the noise is that of an earlier study.
    """

    registered: Registered
    claims: int
    design: Design
    measured: bool

    def sentences(self, groups: int) -> list[str]:
        """Power, what can be proved, the bottleneck, and what to change.

        Args:
            groups: Patients or lesions in the test split.
        """
        one, design = self.registered, self.design
        label = ENDPOINTS[one.endpoint].label
        return [
            f"{one.treatment} {one.claim} to {one.control} ({one.family}, {_claims(self.claims)}): "
            f"{label}, margin {one.margin:.3f}, {_repetitions(design.repetitions)}.",
            f"Power {design.power():.0%} if {truth(design)}. {_smallest(design)} "
            + _bottleneck(design),
            what_to_change(design, groups),
        ]


def truth(design: Design) -> str:
    """The true difference at which power is stated."""
    return "the true difference is the margin" if design.claim == "superior" else "they are alike"


def what_to_change(design: Design, groups: int) -> str:
    """What would give a claim enough power, as far as repetitions or patients alone can.

    Args:
        design: The trial as it is.
        groups: Patients or lesions in its test split.
    """
    if design.power() >= POWER:
        return f"That is enough ({POWER:.0%} or more)."
    runs, factor = design.repetitions_needed(), design.patients_needed()
    patients = None if factor is None else math.ceil(groups * factor)
    some = (
        f"{patients:,} patients or lesions in the test split (now {groups:,})" if patients else ""
    )
    if runs is None and patients is None:
        return (
            "No number of repetitions can prove it, nor can patients alone: it takes more of both, "
            "or a wider margin."
        )
    if runs is None:
        return f"No number of repetitions can prove it; {some} would."
    if patients is None:
        return f"{runs} repetitions of each arm would do; no number of patients alone would."
    return f"{runs} repetitions of each arm would do, or {some}."


def needs(finding: Finding) -> str:
    """What it would take to decide a claim that is undecided; empty for another."""
    if finding.outcome != "undecided" or finding.noise is None:
        return ""
    one = finding.registered
    alpha = one.alpha / finding.claims
    design = Design(one.claim, one.margin, alpha, finding.noise, min(finding.runs))
    if design.power() >= POWER:
        return (
            f"Trials like this one uphold the claim in {design.power():.0%} of cases if "
            f"{truth(design)}: more runs or patients narrow the interval."
        )
    change = what_to_change(design, finding.groups)
    return (
        f"To uphold it with {POWER:.0%} power if {truth(design)}: {change[0].lower()}{change[1:]}"
    )


def about_test_split(test: TestSet, classes: Sequence[str]) -> str:
    """How large a test split is, and how many it has of the rarest class."""
    by_class = [len(np.unique(test.groups[test.targets == c])) for c in range(test.classes)]
    rarest = int(np.argmin(by_class))
    return (
        f"Test split: {len(test.targets):,} images of {len(np.unique(test.groups)):,} patients or "
        f"lesions in {test.classes} classes; {by_class[rarest]:,} of the rarest, "
        f"{classes[rarest]}."
    )


def _smallest(design: Design) -> str:
    what = "difference" if design.claim == "superior" else "margin"
    return (
        f"The smallest {what} that can be proved with {POWER:.0%} power is {design.smallest():.3f}."
    )


def _claims(count: int) -> str:
    return f"{count} claim{'s' * (count != 1)}"


def _repetitions(count: float) -> str:
    return f"{count:.0f} repetition{'s' * (count != 1)}"


def _bottleneck(design: Design) -> str:
    share = design.by_repetitions()
    which = "repetitions" if share > 0.5 else "patients"
    return (
        f"The bottleneck is {which}: {max(share, 1 - share):.0%} of the variance of the difference."
    )
