"""What limits trust in a study's answer: each limit with what was found of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from vitrial.compare.cautions import (
    FEWEST_GROUPS,
    FEWEST_OF_A_CLASS,
    Run,
    comparable_runs,
    of_constant_answers,
)
from vitrial.compare.table import unlike
from vitrial.report.snapshot import Snapshot
from vitrial.store.study import stale_runs_sentence

State = Literal["none found", "found", "unknown"]
AT_MOST = 5
"""Names that are listed of what was found; the sections of the page have them all."""


@dataclass(frozen=True)
class Check:
    """One limit.

    Attributes:
        what: What would limit trust.
        state: Whether it was found; unknown where nothing looked for it.
        said: What was found, or by what nothing was.
    """

    what: str
    state: State
    said: str


def checks(snapshot: Snapshot) -> list[Check]:
    """Every limit that can be known from what lies on disk."""
    return [
        _amended(snapshot),
        _undone(snapshot),
        _stale(snapshot),
        _repetitions(snapshot),
        _few_patients(snapshot),
        _leaks(snapshot.manifest),
        _shortcuts(snapshot),
        _unlike_splits(snapshot),
        _left_out(snapshot),
        _machines(snapshot),
        _left_out_runs(snapshot),
        _learned_nothing(snapshot),
        Check(
            "Images from elsewhere",
            "unknown",
            "Test images are of the same source as training images: how the arms do on images of "
            "another hospital, device or time is not known from this trial.",
        ),
    ]


def _amended(snapshot: Snapshot) -> Check:
    """After the fact, a margin or an endpoint can be chosen to fit."""
    registered = f"The protocol is as it was registered ({snapshot.facts.protocol})."
    if not snapshot.history:
        registered = "An older program kept no history of the protocol."
        return Check("Protocol changed", "unknown", registered)
    return _check("Protocol changed", [*snapshot.amendments, *snapshot.study.notes], registered)


def _undone(snapshot: Snapshot) -> Check:
    status = snapshot.status
    runs = status[status["kind"] == "finetune"]
    counts = runs["status"].value_counts()
    found = [f"{counts[word]} {word}" for word in counts.index if word != "done"]
    all_done = f"All {len(runs)} runs that were planned are done."
    said = [f"Of {len(runs)} runs, {', '.join(found)}: the answer is not final."] if found else []
    return _check("Runs failed, skipped or not done", said, all_done)


def _stale(snapshot: Snapshot) -> Check:
    stale = snapshot.study.stale_runs()
    said = [stale_runs_sentence(stale)] if stale else []
    return _check("Runs of another protocol in the folder", said, "There are none.")


def _repetitions(snapshot: Snapshot) -> Check:
    """Below 3 a standard deviation over repetitions says next to nothing."""
    planned = snapshot.protocol.repetitions
    said = []
    if planned < 3:
        said = [f"{planned} of each arm: how much training again would change is hardly known."]
    return _check("Few repetitions", said, f"{planned} repetitions of each arm.")


def _few_patients(snapshot: Snapshot) -> Check:
    test = snapshot.manifest[snapshot.manifest["split"] == "test"]
    groups = test["group"].nunique()
    by_class = test.groupby("label")["group"].nunique().reindex(snapshot.classes, fill_value=0)
    rare = [f"{name} ({n})" for name, n in by_class.items() if n < FEWEST_OF_A_CLASS]
    said = []
    if groups < FEWEST_GROUPS:
        said.append(f"The test split has {groups} patients or lesions: too few for an interval.")
    if rare:
        said.append(f"Fewer than {FEWEST_OF_A_CLASS} in the test split of: {_listed(rare)}.")
    enough = f"{groups:,} in the test split; of the rarest class {by_class.min():,}."
    return _check("Few patients or lesions", said, enough)


def _leaks(manifest: pd.DataFrame) -> Check:
    """Groups are kept whole and copies joined when the data are prepared; this looks again."""
    said = []
    for column, what in (("group", "patients or lesions"), ("sha256", "files")):
        if column in manifest:
            straddling = int((manifest.groupby(column)["split"].nunique() > 1).sum())
            if straddling:
                said.append(f"In several splits: {straddling:,} of the {what}.")
    sound = (
        f"None of {manifest['group'].nunique():,} patients or lesions is in two splits, nor any "
        "file; copies and near copies count as one patient."
    )
    return _check("Leaks between splits", said, sound)


def _shortcuts(snapshot: Snapshot) -> Check:
    audit = snapshot.audit
    if audit is None or not audit.shortcuts:
        return Check("Shortcuts", "unknown", "No audit of the data looked for them.")
    said = [
        f"{one.family} alone predicts the classes with balanced accuracy {one.score:.3f} "
        f"(chance {one.chance:.3f})."
        for one in audit.shortcuts
        if one.suspicious
    ]
    looked = ", ".join(one.family for one in audit.shortcuts)
    return _check("Shortcuts", said, f"None of {looked} tells the classes more than it should.")


def _unlike_splits(snapshot: Snapshot) -> Check:
    audit = snapshot.audit
    if audit is None or not audit.alike:
        return Check("Splits unlike each other", "unknown", "No audit of the data compared them.")
    differing = [figure.name for figure in audit.alike if figure.differs]
    said = [f"Further apart than by chance in: {_listed(differing)}."] if differing else []
    return _check("Splits unlike each other", said, "No further apart than splits by chance.")


def _left_out(snapshot: Snapshot) -> Check:
    count = snapshot.facts.left_out
    said = [f"{count:,} problems with the data left something out."] if count else []
    return _check("Images left out", said, "Every image that was found is used.")


def _machines(snapshot: Snapshot) -> Check:
    if not snapshot.runs:
        return Check("Mixed machines, precisions or versions", "unknown", "No run is done yet.")
    records = [{"arm": run.entry.arm, **run.provenance} for run in snapshot.runs]
    found = [f"{sentence}." for sentence in unlike(records)]
    return _check("Mixed machines, precisions or versions", found, "All runs alike.")


def _left_out_runs(snapshot: Snapshot) -> Check:
    _, left_out = comparable_runs(_test_runs(snapshot))
    return _check("Runs that cannot be compared", left_out, "All finished runs are compared.")


def _learned_nothing(snapshot: Snapshot) -> Check:
    said = of_constant_answers(_test_runs(snapshot))
    return _check("Arms that learned nothing", said, "No run gives one answer to all images.")


def _test_runs(snapshot: Snapshot) -> list[Run]:
    return [Run(run.entry.arm, run.entry.repetition or 1, run.test) for run in snapshot.runs]


def _check(what: str, found: list[str], otherwise: str) -> Check:
    return Check(what, "found" if found else "none found", " ".join(found) or otherwise)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - AT_MOST} more" if len(names) > AT_MOST else ""
    return ", ".join(names[:AT_MOST]) + more
