"""The comparisons that a study registers, and what its runs say of them."""

from __future__ import annotations

from collections.abc import Sequence

from vitrial.compare.cautions import Run
from vitrial.compare.findings import Finding, Registered, find, registered
from vitrial.protocol import Protocol
from vitrial.protocol.comparison import default_comparisons
from vitrial.store.finished import FinishedRun


def comparisons_of(protocol: Protocol) -> list[Registered]:
    """What a protocol registers; the default for its arms where it says nothing."""
    comparisons = protocol.comparisons
    if comparisons is None:
        from vitrial.models.family import family_of  # builds backbones, which takes torch

        families = {arm.backbone: family_of(arm.backbone) for arm in protocol.arms}
        comparisons = default_comparisons(protocol.arms, families)
    starts = {arm.name: str(arm.origin) for arm in protocol.arms}
    return registered(comparisons, protocol.endpoint, protocol.margin, starts)


def findings_of(protocol: Protocol, finished: Sequence[FinishedRun]) -> list[Finding]:
    """Judge every comparison of a protocol by its finished runs on all training images."""
    comparisons = comparisons_of(protocol)
    runs = [Run(run.entry.arm, run.entry.repetition or 1, run.test) for run in finished]
    return find(comparisons, runs, protocol.repetitions) if comparisons else []
