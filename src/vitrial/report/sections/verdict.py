"""The section with the trial's answers: each registered comparison, its interval and its word."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vitrial.compare.findings import Finding
from vitrial.compare.outlook import needs
from vitrial.compare.sentences import HOW_TO_READ, by_pair, chances, interval, outcome, sentence
from vitrial.metrics import ENDPOINTS
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Verdict"
SUMMARY = "What the trial proves of its arms, against the margins that it registered."
ORDER = 0

WIDTH, ROW, EDGE = 640.0, 34.0, 24.0
"""Of the plot in pixels: its width, the height of a row, and what is left free at the sides."""


def render(snapshot: Snapshot) -> str:
    """A sentence, the claims and an interval for each comparison; nothing if none is registered."""
    findings = snapshot.findings
    if not findings:
        return ""
    pairs = by_pair(findings)
    return template("verdict.html.j2").render(
        amendments=snapshot.amendments,
        answers=[_answer(pair) for pair in pairs],
        plots=plots([pair[0] for pair in pairs]),
        how_to_read=HOW_TO_READ,
    )


def _answer(pair: Sequence[Finding]) -> dict[str, object]:
    return {
        "sentence": sentence(pair[0]),
        "claims": [f"{outcome(finding)} {needs(finding)}".strip() for finding in pair],
        "chances": chances(pair[0]),
        "cautions": pair[0].cautions,
    }


def plots(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """A forest plot per endpoint and margin: places in pixels of each interval, and of 0.

    Args:
        findings: One of each pair of arms; those without an interval have no row.
    """
    kinds: dict[tuple[str, float], list[Finding]] = {}
    for finding in findings:
        if finding.effect is not None and not math.isnan(finding.effect.low):
            one = finding.registered
            kinds.setdefault((one.endpoint, one.margin), []).append(finding)
    return [_plot(endpoint, margin, rows) for (endpoint, margin), rows in kinds.items()]


def _plot(endpoint: str, margin: float, findings: Sequence[Finding]) -> dict[str, object]:
    ends = [end for f in findings if f.effect for end in (abs(f.effect.low), abs(f.effect.high))]
    widest = 1.05 * max(*ends, margin)

    def x(value: float) -> float:
        return round(EDGE + (value / widest + 1) / 2 * (WIDTH - 2 * EDGE), 1)

    return {
        "label": ENDPOINTS[endpoint].label,
        "lower": not ENDPOINTS[endpoint].higher_is_better,
        "margin": margin,
        "width": WIDTH,
        "height": ROW * len(findings) + 30,
        "zero": x(0),
        "margins": (x(-margin), x(margin)),
        "rows": [
            {
                "y": ROW * place + 26,
                "low": x(f.effect.low),
                "middle": x(f.effect.difference),
                "high": x(f.effect.high),
                "treatment": f.registered.treatment,
                "control": f.registered.control,
                "text": f"{f.effect.difference:+.3f} {interval(f)}",
            }
            for place, f in enumerate(findings)
            if f.effect is not None
        ],
    }
