"""The comparisons that a study registers, and what its runs say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitrial.compare.cautions import Run
from vitrial.compare.findings import Finding, Registered, find, registered
from vitrial.models.family import family_of
from vitrial.protocol import Protocol
from vitrial.protocol.comparison import default_comparisons

if TYPE_CHECKING:
    from vitrial.store.study import Study


def comparisons_of(protocol: Protocol) -> list[Registered]:
    """What a protocol registers; the default for its arms where it says nothing."""
    comparisons = protocol.comparisons
    if comparisons is None:
        families = {arm.backbone: family_of(arm.backbone) for arm in protocol.arms}
        comparisons = default_comparisons(protocol.arms, families)
    return registered(comparisons, protocol.endpoint, protocol.margin)


def findings_of(study: Study) -> list[Finding]:
    """Judge every comparison of a study by the runs that are finished."""
    comparisons = comparisons_of(study.protocol)
    if not comparisons:
        return []
    runs = []
    for stage, folder in study.runs():
        predictions = folder.predictions()
        test = predictions[predictions["split"] == "test"]
        runs.append(Run(stage.arm, stage.repetition or 1, test))
    return find(comparisons, runs, study.protocol.repetitions)
