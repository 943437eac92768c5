"""Carrying out a study, run by run, going on where it was interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vitrial.data.audit.audit import audit_prepared
from vitrial.data.manifest import Dataset
from vitrial.data.sources.python import with_dataset
from vitrial.errors import VitrialError
from vitrial.events import Listener, Note, listening, tell
from vitrial.layout import AUDIT, PROBLEMS
from vitrial.protocol import Protocol
from vitrial.store.history import record_protocol
from vitrial.store.registration import refuse_foreign_study, register, registered
from vitrial.store.stage import Stage
from vitrial.store.study import Study, stale_runs_sentence
from vitrial.study.carry_out import Work
from vitrial.study.datasets import Datasets, fingerprints, prepare_datasets
from vitrial.study.executors import INLINE, executor_of
from vitrial.study.plan import plan
from vitrial.study.preflight import check_stages, preflight, without
from vitrial.study.remaining import telling_time_left
from vitrial.study.track import tracking
from vitrial.train.launch import computes_bf16


def run(
    protocol: Protocol,
    out: Path | str | None = None,
    *,
    data: Dataset | None = None,
    cache: Path | None = None,
    workers: int | None = None,
    listen: Listener | None = None,
    skip_missing: bool = False,
    executor: str = INLINE,
    options: Mapping[str, object] | None = None,
    devices: int = 1,
) -> Study:
    """Carry out a protocol; runs that are done already are kept, interrupted ones resume.

    Args:
        protocol: The experiment.
        out: The study's folder; `studies/<name>` if left out.
        data: A data set made in Python, in place of the protocol's.
        cache: Where pixel caches lie; `$VITRIAL_CACHE` or `~/.cache/vitrial` if left out.
        workers: Threads that read batches ahead; chosen for the machine if left out.
        listen: Called with each event of `vitrial.events`; the terminal shows them if left out.
        skip_missing: Go on without the arms whose weights, data or memory are missing.
        executor: What carries the stages out, a file of `vitrial.study.executors`: `inline`, in
            this process; `local`, in several of this machine; `slurm` or `ray`.
        options: Of the executor.
        devices: That train each stage together, a share of every batch each.

    Returns:
        The study. Runs that failed are listed in its status, each with its reason.

    Raises:
        DataError: Something in a data set is wrong, with everything that is.
        VitrialError: Something that the runs need is missing, with everything that is; `out` is not
            empty and holds no study, or the disk is full.
    """
    carry_out = executor_of(executor, options)
    if data is not None:
        if executor != INLINE:
            raise VitrialError(
                f"A data set that was made in Python is known in its own process alone: leave out "
                f"the executor {executor}, or write the data set to files."
            )
        protocol = with_dataset(protocol, data)
    root = Path(out) if out is not None else Path("studies") / protocol.name
    refuse_foreign_study(root)
    with listening(listen):
        study, stages, datasets = _lay_down(protocol, root, cache, skip_missing)
        with tracking(protocol, root, stages), telling_time_left(study):
            carry_out(Work(root, cache, workers, devices), stages, datasets)
    return study


def _lay_down(
    protocol: Protocol, root: Path, cache: Path | None, skip_missing: bool
) -> tuple[Study, list[Stage], Datasets]:
    """Everything before the first run: what is needed is there, the data are audited."""
    skipped = preflight(protocol, root, cache, skip_missing=skip_missing)
    carried_out = without(protocol, skipped)
    register(root, protocol)
    datasets = prepare_datasets(carried_out, cache)
    stages = plan(carried_out, fingerprints(datasets))
    notes = check_stages(stages, protocol, datasets, root)
    audit = audit_prepared(datasets["data"], root / AUDIT)
    sources = (data.problems for name, data in datasets.items() if name != "data")
    problems = audit.problems + [problem for found in sources for problem in found]
    record_protocol(root, registered(root), protocol)
    study = Study.write(root, protocol, datasets["data"], stages, problems, skipped)
    if left_out := study.facts.left_out:
        tell(
            Note(
                f"Problems with the data: {left_out}. What they concern is left out; they are "
                f"listed in {root / PROBLEMS}."
            )
        )
    if not computes_bf16() and any(stage.recipe.precision == "bf16" for stage in stages):
        what = "This machine has no bf16 instructions: what asks for them is computed in float32."
        tell(Note(what))
    notes += [f"Skipped: {arm}. {why}" for arm, why in skipped.items()]
    if stale_runs := study.stale_runs():
        notes.append(stale_runs_sentence(stale_runs))
    for note in notes:
        tell(Note(note))
    return study, stages, datasets
