"""The report's section on what each arm costs."""

from __future__ import annotations

import pandas as pd

from vitrial.report.cost import cost_words, device_sentence, front_words
from vitrial.report.figures.cost import cost_plots, cost_table
from vitrial.report.figures.figure import Figure
from vitrial.report.figures.panels import series_name
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Cost"
SUMMARY = "What each arm gives for its size, its time and its compute, and which no other beats."
ORDER = 58

COSTS = {
    "parameters": "parameters, millions",
    "minutes": "training time, minutes a run",
    "macs": "compute, billion multiply-adds an image",
    "latency": "latency, ms an image",
    "memory": "memory of a training step, MB",
}
CAPTION = (
    "Each arm's mean on the test split against what it costs, on a logarithmic axis. The line "
    "connects the arms that no other matches for less, by values as they are; beside them stands "
    "what sets them apart."
)


def render(snapshot: Snapshot) -> str:
    """Plots of what is known, and what `vitrial cost` measured; nothing before a run is done."""
    arms = _arms(snapshot)
    if arms.empty:
        return ""
    metric, costs = snapshot.endpoint, snapshot.costs
    known = {name: words for name, words in COSTS.items() if (arms[name] > 0).any()}
    table = cost_table(arms, known, metric)
    figure = Figure("cost-plots", cost_plots(table, known, metric.label), CAPTION, table)
    measured = {}
    if costs is not None and snapshot.arm_costs is not None:
        measured = {
            "device": device_sentence(costs),
            "costs": cost_words(costs),
            "front": front_words(snapshot.arm_costs, metric.label),
        }
    return template("cost.html.j2").render(figures=[figure], measured=measured)


def _arms(snapshot: Snapshot) -> pd.DataFrame:
    """A row per arm with a score: `arm`, `label`, `initialization`, `score` and the costs."""
    test = snapshot.scores[snapshot.scores["split"] == "test"]
    means = test.groupby("arm")[snapshot.endpoint.name].mean()
    table = snapshot.table.set_index("arm")
    measured = pd.DataFrame(columns=["macs", "latency_ms", "training_bytes"], dtype=float)
    if snapshot.arm_costs is not None:
        measured = snapshot.arm_costs.set_index("arm")[list(measured.columns)]
    arms = [arm for arm in snapshot.protocol.arms if arm.name in means.index]
    names = [arm.name for arm in arms]
    costs = measured.reindex(names)
    return pd.DataFrame(
        {
            "arm": names,
            "label": [series_name(arm) for arm in arms],
            "initialization": [str(arm.origin) for arm in arms],
            "score": means[names].to_numpy(),
            "parameters": table["parameters"][names].to_numpy(float) / 1e6,
            "minutes": table["total_minutes"][names].to_numpy(float),
            "macs": costs["macs"].to_numpy(float) / 1e9,
            "latency": costs["latency_ms"].to_numpy(float),
            "memory": costs["training_bytes"].to_numpy(float) / 1e6,
        }
    )
