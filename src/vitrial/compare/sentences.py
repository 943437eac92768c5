"""Findings in sentences that a clinician reads, and as tables that a program reads."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd

from vitrial.compare.findings import Finding, Registered
from vitrial.compare.outlook import needs
from vitrial.errors import VitrialError
from vitrial.metrics import ENDPOINTS
from vitrial.protocol.initialization import Initialization, parse_initialization

FORMS = ("terminal", "csv", "markdown", "json")
WIDTH = 80
"""Columns of a terminal that is not wide."""
NONE = "The protocol registers no comparison: name some under `comparisons`."

HOW_TO_READ = (
    "Intervals count repetitions and patients at once. Equivalent means that the whole interval "
    "lies within the margin: with a 95% interval these are two one-sided tests at 2.5% each. "
    "p-values are one-sided and adjusted for the number of claims in a family (Holm); a claim is "
    "upheld at 0.025 or less, half of what a 95% interval leaves out."
)
RELATIONS = {
    "superior": "{a} is superior to {b}",
    "inferior": "{a} is inferior to {b}",
    "equivalent": "{a} is equivalent to {b}",
    "non-inferior": "{a} is not inferior to {b}",
    "inconclusive": "it is undecided whether {a} or {b} is better",
}


def sentence(finding: Finding) -> str:
    """What a comparison found, with its interval; nothing of the claim."""
    one, effect = finding.registered, finding.effect
    (a, start_a), (b, start_b) = _arms(one)
    if start_a is not None and start_a == start_b:
        begin = in_words(start_a)
    else:
        a, b, begin = one.treatment, one.control, ""
    if effect is None:
        return _begun(f"{begin}{a} and {b} cannot be compared yet.", a)
    relation = RELATIONS[finding.verdict].format(a=a, b=b)
    if 1 in finding.runs:
        begin = f"of these two trained models, {begin}"
    metric = ENDPOINTS[one.endpoint]
    lower = "" if metric.higher_is_better else " (lower is better)"
    caution = ", to be read with caution" if finding.cautions else ""
    return _begun(
        f"{begin}{relation} on your images: {metric.label}{lower} {effect.difference:+.3f} "
        f"{interval(finding)}, margin {one.margin:.3f}{caution}.",
        a,
    )


def interval(finding: Finding) -> str:
    """The interval of a comparison, or that there is none."""
    effect = finding.effect
    if effect is None or math.isnan(effect.low):
        return "[no interval]"
    return f"[{effect.low:+.3f}, {effect.high:+.3f}]"


def outcome(finding: Finding) -> str:
    """What became of the registered claim."""
    one = finding.registered
    claimed = f"Registered as {one.claim} ({one.family}): {finding.outcome}"
    if math.isnan(finding.p):
        return f"{claimed}."
    p, allowed = finding.p_adjusted, one.alpha / 2
    size = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    among = f" among {finding.claims} claims" if finding.claims > 1 else ""
    alone = finding.outcome == "undecided" and finding.p <= allowed < p
    return f"{claimed}, {size}{among}{'; alone it would be upheld' if alone else ''}."


def chances(finding: Finding) -> str:
    """How often another run would be better; empty where a single run says nothing of it."""
    if math.isnan(finding.probability):
        return ""
    one = finding.registered
    (a, start_a), (b, start_b) = _arms(one)
    if start_a is None or start_a != start_b:
        a, b = one.treatment, one.control
    return f"Probability that a new run of {a} beats one of {b}: {finding.probability:.2f}."


def in_words(start: Initialization) -> str:
    """An initialization as a sentence begins: `with ImageNet weights, `."""
    weights = {
        "random": "from scratch",
        "imagenet": "with ImageNet weights",
        "timm": "with timm's weights" if not start.of else f"with timm's weights {start.of}",
        "file": f"with the weights of {start.of}",
        "transfer": f"pretrained on {start.of}",
    }[start.kind]
    method = start.method.upper() if start.method else ""
    return weights + (f", then self-supervised by {method}, " if method else ", ")


def table(findings: Sequence[Finding]) -> pd.DataFrame:
    """A row per registered comparison, every digit kept."""
    return pd.DataFrame([_row(finding) for finding in findings])


def render(findings: Sequence[Finding], notes: Sequence[str], form: str) -> str:
    """The findings in one of `FORMS`.

    Args:
        findings: Of a study.
        notes: Sentences on the study as a whole, such as that its protocol was amended.
        form: Of `FORMS`.

    Raises:
        VitrialError: The form is unknown.
    """
    if form not in FORMS:
        raise VitrialError(f"'{form}' is not a format: choose {', '.join(FORMS)}.")
    if form == "csv":
        return table(findings).to_csv(index=False)
    if form == "json":
        content = {"notes": list(notes), "comparisons": [_row(finding) for finding in findings]}
        return json.dumps(_without_nan(content), indent=2) + "\n"
    return _terminal(findings, notes) if form == "terminal" else _markdown(findings, notes)


def by_pair(findings: Sequence[Finding]) -> list[list[Finding]]:
    """The findings that share arms, endpoint, margin and level, which have one effect."""
    pairs: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        one = finding.registered
        key = (frozenset((one.treatment, one.control)), one.endpoint, one.margin, one.alpha)
        pairs.setdefault((*key, one.treatment), []).append(finding)
    return list(pairs.values())


def said_once(findings: Sequence[Finding]) -> list[str]:
    """The cautions that hold for every comparison."""
    if not findings:
        return []
    return [c for c in findings[0].cautions if all(c in other.cautions for other in findings)]


def _terminal(findings: Sequence[Finding], notes: Sequence[str]) -> str:
    lines = [wrapped(note) for note in notes]
    if not findings:
        return "\n".join([*lines, NONE]) + "\n"
    once = said_once(findings)
    for pair in by_pair(findings):
        lines.append(wrapped(sentence(pair[0])))
        own = [c for c in pair[0].cautions if c not in once]
        claims = [line for finding in pair for line in (outcome(finding), needs(finding))]
        details = [*claims, chances(pair[0]), *(f"Caution: {c}" for c in own)]
        lines += [wrapped(line, "  ") for line in details if line]
    lines += [wrapped(f"Caution: {caution}") for caution in once]
    return "\n".join([*lines, wrapped(HOW_TO_READ)]) + "\n"


def _markdown(findings: Sequence[Finding], notes: Sequence[str]) -> str:
    if not findings:
        return "\n\n".join([*notes, NONE]) + "\n"
    rows = [
        "| Treatment | Control | Endpoint | Difference | Verdict | Claim | Outcome | p |",
        "| --- | --- | --- | ---: | --- | --- | --- | ---: |",
        *(f"| {' | '.join(_cells(finding))} |" for finding in findings),
    ]
    sentences = [f"- {sentence(pair[0])}" for pair in by_pair(findings)]
    cautions = dict.fromkeys(f"- Caution: {c}" for f in findings for c in f.cautions)
    parts = [*notes, "\n".join(sentences), "\n".join(rows), "\n".join(cautions), HOW_TO_READ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _cells(finding: Finding) -> list[str]:
    one, effect = finding.registered, finding.effect
    difference = "-" if effect is None else f"{effect.difference:+.3f} {interval(finding)}"
    p = "-" if math.isnan(finding.p_adjusted) else f"{finding.p_adjusted:.3f}"
    p = "< 0.001" if finding.p_adjusted < 0.001 else p
    claim = f"{one.claim} ({one.family})"
    label = ENDPOINTS[one.endpoint].label
    names = [one.treatment, one.control, label]
    return [*names, difference, finding.verdict, claim, finding.outcome, p]


def _row(finding: Finding) -> dict[str, Any]:
    one, effect = finding.registered, finding.effect
    nan = math.nan
    return {
        "treatment": one.treatment,
        "control": one.control,
        "claim": one.claim,
        "family": one.family,
        "endpoint": one.endpoint,
        "margin": one.margin,
        "alpha": one.alpha,
        "difference": effect.difference if effect else nan,
        "low": effect.low if effect else nan,
        "high": effect.high if effect else nan,
        "standard_error": effect.standard_error if effect else nan,
        "df": effect.df if effect else nan,
        "verdict": finding.verdict,
        "outcome": finding.outcome,
        "p": finding.p,
        "p_adjusted": finding.p_adjusted,
        "claims": finding.claims,
        "probability": finding.probability,
        "treatment_runs": finding.runs[0],
        "control_runs": finding.runs[1],
        "images": finding.images,
        "groups": finding.groups,
        "sentence": sentence(finding),
        "needs": needs(finding),
        "cautions": " ".join(finding.cautions),
    }


def _without_nan(content: Any) -> Any:
    """JSON has neither NaN nor infinity: None in their place."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _arms(one: Registered) -> list[tuple[str, Initialization | None]]:
    """Of both arms the backbone, or the id, and the initialization where it is known."""
    found = []
    for arm, start in zip((one.treatment, one.control), one.starts, strict=True):
        backbone, _, named = arm.partition(" / ")
        start = start or named
        found.append((backbone, parse_initialization(start) if start else None))
    return found


def _begun(text: str, arm: str) -> str:
    """A sentence with its first letter large, unless it begins with a name."""
    return text if text.startswith(arm) else text[0].upper() + text[1:]


def wrapped(text: str, indent: str = "") -> str:
    """A text in lines of `WIDTH` columns."""
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
