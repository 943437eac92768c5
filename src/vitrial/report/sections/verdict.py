"""The section with the trial's answers: each registered comparison, its interval and its word."""

from __future__ import annotations

from collections.abc import Sequence

from vitrial.compare.findings import Finding
from vitrial.compare.outlook import needs
from vitrial.compare.sentences import HOW_TO_READ, by_pair, chances, outcome, sentence
from vitrial.report.figures.comparisons import comparison_figures
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Verdict"
SUMMARY = "What the trial proves of its arms, against the margins that it registered."
ORDER = 0


def render(snapshot: Snapshot) -> str:
    """A sentence, the claims and an interval for each comparison; nothing if none is registered."""
    findings = snapshot.findings
    if not findings:
        return ""
    pairs = by_pair(findings)
    return template("verdict.html.j2").render(
        amendments=snapshot.amendments,
        answers=[_answer(pair) for pair in pairs],
        figures=comparison_figures([pair[0] for pair in pairs]),
        how_to_read=HOW_TO_READ,
    )


def _answer(pair: Sequence[Finding]) -> dict[str, object]:
    return {
        "sentence": sentence(pair[0]),
        "claims": [f"{outcome(finding)} {needs(finding)}".strip() for finding in pair],
        "chances": chances(pair[0]),
        "cautions": pair[0].cautions,
    }
