"""The forest plot of a trial's comparisons: difference, interval, margin and word."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from vitrial.compare.findings import Finding
from vitrial.metrics import ENDPOINTS
from vitrial.report.figures.figure import Figure
from vitrial.report.figures.forest import Interval, Row, forest, parts_of, row_scale
from vitrial.report.figures.panels import grid
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
            f"{_signed(row['Difference'])} [{_signed(row['Low'])}, {_signed(row['High'])}] "
            f"{row['Answer']}",
            (Interval(row["Difference"], row["Low"], row["High"]),),
        )
        for row in table.to_dict("records")
    ]
    band = (-margin, margin)
    x = row_scale(rows, (*band, 0.0))
    svg = grid(
        forest(
            f"{name}-plot-{place}",
            f"Differences of {metric.label} with intervals",
            f"{_said(part)}. The margin is {margin:g}.",
            part,
            f"difference of {metric.label}",
            x=x,
            band=band,
            reference=0.0,
        )
        for place, part in enumerate(parts_of(rows), 1)
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


def _said(rows: Sequence[Row]) -> str:
    return "; ".join(f"{' '.join(row.label.split())}: {row.figures}" for row in rows)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


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
