"""The section with the trial's answers: each registered comparison, its interval and its word."""

from __future__ import annotations

from collections.abc import Sequence

from vitrial.compare.findings import Finding
from vitrial.compare.outlook import needs
from vitrial.compare.sentences import (
    HOW_TO_READ,
    by_pair,
    chances,
    outcome,
    said_once,
    sentence,
)
from vitrial.report.figures.comparisons import comparison_figures
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "The answer"
SUMMARY = (
    "What the trial proves of its arms: each comparison that was registered before training, with "
    "its 95% interval, against the smallest difference that matters (the margin)."
)
ORDER = 0


def render(snapshot: Snapshot) -> str:
    """A sentence, the claims and an interval for each comparison; nothing if none is registered."""
    findings = snapshot.findings
    if not findings:
        return ""
    pairs = by_pair(findings)
    once = said_once(findings) if len(pairs) > 1 else []
    return template("verdict.html.j2").render(
        amendments=snapshot.amendments,
        answers=[_answer(pair, once) for pair in pairs],
        undecided=[(_claim(f), needs(f) or "It needs finished runs of both arms.")
                   for f in findings if f.outcome == "undecided"],
        cautions=once,
        figures=comparison_figures([pair[0] for pair in pairs]),
        how_to_read=HOW_TO_READ,
    )  # fmt: skip


def _answer(pair: Sequence[Finding], once: Sequence[str]) -> dict[str, object]:
    return {
        "sentence": sentence(pair[0]),
        "word": pair[0].outcome,
        "outcomes": [outcome(finding) for finding in pair],
        "chances": chances(pair[0]),
        "cautions": [caution for caution in pair[0].cautions if caution not in once],
    }


def _claim(finding: Finding) -> str:
    one = finding.registered
    return f"{one.treatment} {one.claim} to {one.control} ({one.family})"
