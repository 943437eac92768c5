"""The secondary analyses of a study: asked for, computed from its predictions, kept as tables."""

from __future__ import annotations

import io
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from vitrial.atomic import write_text
from vitrial.compare.aligned import Aligned, Pair, align, effects
from vitrial.compare.by_patient import by_patient
from vitrial.compare.decisions import Required, net_benefit_table, operating_table
from vitrial.compare.subgroups import subgroup_tables
from vitrial.compare.temperature import calibrated, calibration_table, reliability_table
from vitrial.compare.two_runs import delong, mcnemar
from vitrial.data.manifest import INTERNAL
from vitrial.errors import VitrialError
from vitrial.layout import ANALYSES, ANALYSES_FACTS
from vitrial.metrics import METRICS
from vitrial.records import read_bytes, read_record, reading, write_record
from vitrial.spelling import did_you_mean
from vitrial.store.study import Study
from vitrial.store.trial import comparisons_of
from vitrial.tasks import Task, task_of


@dataclass(frozen=True)
class Request:
    """What is asked for beyond every metric, calibration and results by patient.

    Attributes:
        subgroups: Columns of the manifest.
        positive: The class of the operating point and the decision curve; the second of two if
            left out, and neither is computed of more.
        required: The specificity that the operating point must reach on validation.
        level: At least so much of it.
        two_runs: Names of two runs for DeLong's and McNemar's tests, as `vitrial status` has them.
    """

    subgroups: tuple[str, ...] = ()
    positive: str | None = None
    required: Required = "specificity"
    level: float = 0.9
    two_runs: tuple[str, str] | None = None


@dataclass(frozen=True)
class Analyses:
    """Tables of secondary analyses.

    Attributes:
        tables: By name; see `vitrial.compare` for their columns.
        facts: What was asked for (`request`), the class that counts as positive (`positive`, or
            None), the names of `runs`, and `notes`, sentences.
    """

    tables: dict[str, pd.DataFrame]
    facts: dict[str, Any] = field(default_factory=dict)


def analyze(study: Study, request: Request) -> Analyses:
    """Compute the secondary analyses of the runs that are done.

    Raises:
        VitrialError: No run is done, or what is asked for is not there: all of it.
    """
    runs = [(run.name, run.arm, folder.predictions()) for run, folder in study.runs()]
    if not runs:
        raise VitrialError(
            f"{study.path} has no finished run: `vitrial run {shlex.quote(str(study.path))}` first."
        )
    val, test = align(runs, "val"), align(runs, "test", study.manifest())
    classes = list(study.facts.classes)
    _refuse(request, test, classes)
    pairs = arm_pairs(study, test)
    positive = request.positive or (classes[1] if len(classes) == 2 else None)
    after, temperatures = calibrated(test, val)
    patients, mixed = by_patient(test)
    endpoint, notes = study.protocol.endpoint, []
    tables = {
        "metrics": metric_table(test, pairs, task_of(endpoint)),
        "calibration": calibration_table(test, after, temperatures, pairs),
        "reliability": pd.concat(
            [
                reliability_table(of).assign(when=when)
                for when, of in (("before", test), ("after", after))
            ]
        ),
    }
    if len(patients.images) < len(test.images):
        tables["patients"] = pd.concat(
            [
                effects(of.scored(endpoint), of.arms, pairs).assign(by=by, n=len(of.images))
                for by, of in (("image", test), ("patient", patients))
            ]
        )
    if mixed:
        notes.append(
            f"{mixed} patients or lesions have test images of several classes: results by patient "
            "leave them out."
        )
    if positive is not None:
        c = classes.index(positive)
        tables["operating_point"] = operating_table(
            test, val, c, pairs, request.required, request.level
        )
        tables["net_benefit"] = net_benefit_table(after, c, pairs)
    if request.subgroups:
        found = [subgroup_tables(test, by, endpoint, pairs) for by in request.subgroups]
        tables["subgroups"] = pd.concat([parts for parts, _ in found])
        tables["subgroup_gaps"] = pd.concat([gaps for _, gaps in found])
    if request.two_runs:
        tables["two_runs"] = two_run_table(test, request.two_runs, classes)
    facts = {"request": asdict(request), "positive": positive, "runs": list(test.runs)}
    return Analyses(tables, {**facts, "endpoint": endpoint, "notes": notes})


def metric_table(test: Aligned, pairs: Sequence[Pair], task: Task) -> pd.DataFrame:
    """Each metric that fits, of each arm and difference: `metric`, and the columns of `effects`."""
    metrics = [m for m in METRICS.values() if task.fits(m)]
    return pd.concat(
        [effects(test.scored(m.name), test.arms, pairs).assign(metric=m.name) for m in metrics]
    )


def two_run_table(test: Aligned, names: tuple[str, str], classes: list[str]) -> pd.DataFrame:
    """DeLong's test of each class (the second of two) against the others, and McNemar's.

    Returns:
        Columns `test`, `first`, `second` (areas, or images that one run alone has right),
        `difference`, `low`, `high` (NaN for McNemar's), `p`.
    """
    one, other = (test.runs.index(name) for name in names)
    rows: list[dict[str, Any]] = []
    for c in [1] if len(classes) == 2 else range(len(classes)):
        odds, positive = test.log_odds(c), test.targets == c
        if min(positive.sum(), (~positive).sum()) < 2:
            continue
        found = delong(positive, odds[one], odds[other])
        first, second = found.areas
        ends = {"difference": first - second, "low": found.low, "high": found.high}
        name = f"DeLong, {classes[c]}"
        rows.append({"test": name, "first": first, "second": second, **ends, "p": found.p_value})
    right = test.logits.argmax(axis=-1) == test.targets
    exact = mcnemar(right[one], right[other])
    counts = {"first": exact.only_first, "second": exact.only_second}
    difference = float(right[one].mean() - right[other].mean())
    rows.append({"test": "McNemar", **counts, "difference": difference, "p": exact.p_value})
    return pd.DataFrame(rows)


def arm_pairs(study: Study, test: Aligned) -> list[Pair]:
    """Treatment and control of each comparison that the study registers, where both have runs."""
    registered = ((one.treatment, one.control) for one in comparisons_of(study.protocol))
    return [pair for pair in dict.fromkeys(registered) if set(pair) <= set(test.arms)]


def write_analyses(study: Study, found: Analyses) -> Path:
    """Write a CSV per table into the study's folder `analyses`, which is given back."""
    folder = study.path / ANALYSES
    names = {name: f"{name}.csv" for name in found.tables}
    for name, file in names.items():
        write_text(folder / file, found.tables[name].to_csv(index=False))
    write_record(folder / ANALYSES_FACTS, found.facts, names.values())
    return folder


def read_analyses(study: Study) -> Analyses | None:
    """What `write_analyses` left; None if there is nothing.

    Raises:
        DamagedError: A table is missing, or not what was written.
    """
    folder, way_out = study.path / ANALYSES, "`vitrial analyze` recomputes it"
    if not (folder / ANALYSES_FACTS).exists():
        return None
    facts = read_record(folder / ANALYSES_FACTS, way_out)
    tables = {}
    for file in facts["files"]:
        content = read_bytes(folder / file, facts, way_out)
        with reading(folder / file, way_out):
            tables[file.removesuffix(".csv")] = pd.read_csv(
                io.BytesIO(content), keep_default_na=False, na_values=[""]
            ).pipe(_as_written)
    return Analyses(tables, facts)


def _as_written(table: pd.DataFrame) -> pd.DataFrame:
    """Empty words, which a CSV does not tell from missing numbers."""
    return table.assign(**{c: table[c].fillna("") for c in ("arm", "less") if c in table})


def _refuse(request: Request, test: Aligned, classes: list[str]) -> None:
    columns = [c for c in test.images.columns if c not in INTERNAL]

    def unknown(what: str, name: str, known: list[str]) -> str:
        choices = ", ".join(known) or "none"
        return f"{name} is no {what}{did_you_mean(name, known)}: choose from {choices}."

    wrong = [
        unknown("column of the manifest", name, columns)
        for name in request.subgroups
        if name not in columns
    ]
    if request.positive is not None and request.positive not in classes:
        wrong.append(unknown("class", request.positive, classes))
    wrong += [
        unknown("finished run", name, list(test.runs))
        for name in request.two_runs or ()
        if name not in test.runs
    ]
    if not 0 < request.level <= 1:
        wrong.append(f"A {request.required} of {request.level} is impossible: give 0 to 1.")
    if wrong:
        raise VitrialError(" ".join(wrong))
