"""The report's section on what each arm costs."""

from __future__ import annotations

from vitrial.metrics import METRICS
from vitrial.report.cost import cost_words, device_sentence, front_words
from vitrial.report.template import template
from vitrial.store.costs import arm_costs, read_costs
from vitrial.store.study import Study

TITLE = "Cost"
SUMMARY = "What each backbone takes of this device, and which arms no other arm beats."
ORDER = 58


def render(study: Study) -> str:
    """The section's HTML; nothing where `vitrial cost` was not run."""
    costs = read_costs(study)
    if costs is None:
        return ""
    label = METRICS[study.protocol.endpoint].label
    return template("cost.html.j2").render(
        device=device_sentence(costs),
        costs=cost_words(costs),
        front=front_words(arm_costs(study, costs), label),
    )
