"""The report's section on what each arm costs."""

from __future__ import annotations

from vitrial.metrics import METRICS
from vitrial.report.cost import cost_words, device_sentence, front_words
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Cost"
SUMMARY = "What each backbone takes of this device, and which arms no other arm beats."
ORDER = 58


def render(snapshot: Snapshot) -> str:
    """The section's HTML; nothing where `vitrial cost` was not run."""
    costs, arms = snapshot.costs, snapshot.arm_costs
    if costs is None or arms is None:
        return ""
    label = METRICS[snapshot.protocol.endpoint].label
    return template("cost.html.j2").render(
        device=device_sentence(costs),
        costs=cost_words(costs),
        front=front_words(arms, label),
    )
