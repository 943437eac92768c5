"""The forest plot of a trial's comparisons: difference, interval, margin and word."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from vitrial.compare.findings import Finding
from vitrial.metrics import ENDPOINTS
from vitrial.report.figures.figure import Figure
from vitrial.report.figures.forest import Interval, Row, forest
from vitrial.report.figures.svg import WIDTH, width_of


def comparison_figures(findings: Sequence[Finding]) -> list[Figure]:
    """A forest plot per endpoint and margin.

    Args:
        findings: One of each pair of arms; those without an interval are in no plot.
    """
    kinds: dict[tuple[str, float], list[Finding]] = {}
    for finding in findings:
        if finding.effect is not None and not math.isnan(finding.effect.low):
            one = finding.registered
            kinds.setdefault((one.endpoint, one.margin), []).append(finding)
    return [
        _figure(f"comparisons-{place}", endpoint, margin, rows)
        for place, ((endpoint, margin), rows) in enumerate(kinds.items(), 1)
    ]


def _figure(name: str, endpoint: str, margin: float, findings: Sequence[Finding]) -> Figure:
    table = _table(findings)
    metric = ENDPOINTS[endpoint]
    better = "right" if metric.higher_is_better else "left"
    rows = [
        Row(
            _pair(row["Treatment"], row["Control"]),
            f"{row['Difference']:+.3f} [{row['Low']:+.3f}, {row['High']:+.3f}] {row['Answer']}",
            (Interval(row["Difference"], row["Low"], row["High"]),),
        )
        for row in table.to_dict("records")
    ]
    said = "; ".join(f"{' '.join(row.label.split())}: {row.figures}" for row in rows)
    svg = forest(
        f"{name}-plot",
        f"Differences of {metric.label} with intervals",
        f"{said}. The margin is {margin:g}.",
        rows,
        f"difference of {metric.label}",
        band=(-margin, margin),
        reference=0.0,
    )
    caption = (
        f"Difference of {metric.label}, the first arm less the second, with its interval: "
        f"{better} of the dashed line favors the first. The shaded band is the margin of "
        f"{margin:g}, within which a difference does not matter."
    )
    return Figure(name, svg, caption, table, dict.fromkeys(SIGNED, "{:+.3f}"))


def _pair(treatment: str, control: str) -> str:
    """Two arms in one line; of one initialization that is said once, on a second line if long."""
    (first, _, start), (second, _, other) = (arm.partition(" / ") for arm in (treatment, control))
    if start != other:
        first, second, start = treatment, control, ""
    words = f"{first} − {second}"
    words = words if width_of(words) <= WIDTH else f"{first}\n− {second}"
    if not start:
        return words
    together = f"{words}, {start}"
    return together if width_of(together) <= WIDTH else f"{words}\n{start}"


SIGNED = ("Difference", "Low", "High")


def _table(findings: Sequence[Finding]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Treatment": finding.registered.treatment,
            "Control": finding.registered.control,
            "Difference": finding.effect.difference,
            "Low": finding.effect.low,
            "High": finding.effect.high,
            "Answer": finding.verdict,
        }
        for finding in findings
        if finding.effect is not None
    )
