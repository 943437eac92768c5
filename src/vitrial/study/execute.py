"""Carrying out a study on this machine, run by run, going on where it was interrupted."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from vitrial.atomic import DiskFullError
from vitrial.data.audit.audit import audit_prepared
from vitrial.data.batches import Part
from vitrial.data.manifest import Dataset
from vitrial.data.prepared import Prepared, prepare_data
from vitrial.data.sources.python import with_dataset
from vitrial.data.unlabeled import prepare_unlabeled
from vitrial.errors import DataError, Problem, VitrialError
from vitrial.layout import AUDIT, PROBLEMS
from vitrial.metrics import ENDPOINTS
from vitrial.protocol import Protocol
from vitrial.store.run_folder import RunFolder
from vitrial.store.study import Study, refuse_foreign_study, register
from vitrial.study.initial import refuse_unfit_arms
from vitrial.study.plan import Stage, plan, sources_used
from vitrial.study.preflight import check_stages, preflight, without
from vitrial.study.progress import StudyProgress, stale_runs_sentence
from vitrial.study.run import run_stage
from vitrial.train.checkpoint import History
from vitrial.train.launch import computes_bf16


def run(
    protocol: Protocol,
    out: Path | str | None = None,
    *,
    data: Dataset | None = None,
    cache: Path | None = None,
    workers: int | None = None,
    console: Console | None = None,
    skip_missing: bool = False,
) -> Study:
    """Carry out a protocol; runs that are done already are kept, interrupted ones go on.

    Args:
        protocol: The experiment.
        out: The study's folder; `studies/<name>` if left out.
        data: A data set made in Python, in place of the protocol's.
        cache: Where pixel caches lie; `$VITRIAL_CACHE` or `~/.cache/vitrial` if left out.
        workers: Processes that read batches ahead; chosen for the machine if left out.
        console: Where progress is shown; standard error if left out.
        skip_missing: Go on without the arms whose weights, data or memory are missing.

    Returns:
        The study. Runs that failed are listed in its status, each with its reason.

    Raises:
        DataError: Something in a data set is wrong, with everything that is.
        VitrialError: Something that the runs need is missing, with everything that is; `out` is not
            empty and holds no study, or the disk is full.
    """
    if data is not None:
        protocol = with_dataset(protocol, data)
    root = Path(out) if out is not None else Path("studies") / protocol.name
    refuse_foreign_study(root)
    skipped = preflight(protocol, root, cache, skip_missing=skip_missing)
    carried_out = without(protocol, skipped)
    refuse_unfit_arms(carried_out)
    register(root, protocol)
    datasets = prepare_datasets(carried_out, cache)
    stages = plan(carried_out, fingerprints(datasets))
    notes = check_stages(stages, protocol, datasets, root)
    audit = audit_prepared(datasets["data"], root / AUDIT)
    sources = (data.problems for name, data in datasets.items() if name != "data")
    problems = audit.problems + [problem for found in sources for problem in found]
    study = Study.write(root, protocol, datasets["data"], stages, problems, skipped)
    workers = default_workers() if workers is None else workers
    console = console or Console(stderr=True)
    if left_out := sum(problem.fatal for problem in problems):
        console.print(
            f"Problems with the data: {left_out}. What they concern is left out; they "
            f"are listed in {root / PROBLEMS}.",
            soft_wrap=True,
            highlight=False,
        )
    if not computes_bf16() and any(stage.recipe.precision == "bf16" for stage in stages):
        console.print(
            "This machine has no bf16 instructions: what asks for them is computed in float32.",
            soft_wrap=True,
            highlight=False,
        )
    notes += [f"Skipped: {arm}. {why}" for arm, why in skipped.items()]
    for note in notes:
        console.print(note, soft_wrap=True, highlight=False, markup=False)
    if stale_runs := study.stale_runs():
        console.print(stale_runs_sentence(stale_runs), highlight=False)
    with StudyProgress(stages, console) as progress:
        for stage in stages:
            carry_out(stage, protocol, datasets[stage.dataset], root, workers, progress)
    return study


def prepare_datasets(protocol: Protocol, cache: Path | None = None) -> dict[str, Prepared]:
    """The data set `data` and the sources that arms transfer from, ready for training.

    Images of the data set's validation and test splits, and copies of them, are left out of the
    sources and of the unlabeled images.

    Raises:
        DataError: Something in any of them is wrong, with everything that is.
    """
    prepared: dict[str, Prepared] = {}
    errors: list[DataError] = []
    # A source has columns of its own.
    of_source = protocol.split.model_copy(update={"stratify": []})
    held_out: Part | None = None
    for name, section in {"data": protocol.data, **sources_used(protocol)}.items():
        split = protocol.split if name == "data" else of_source
        graded = name == "data" and ENDPOINTS[protocol.endpoint].needs_order
        graded_by = protocol.endpoint if graded else None
        try:
            data = prepare_data(section, split, protocol.image, cache, held_out, graded_by)
        except DataError as error:
            errors.append(error)
            continue
        prepared[name] = data
        if name == "data":
            held_out = data.held_out()
    try:
        further = _further(protocol, cache, held_out)
    except DataError as error:
        errors.append(error)
    if errors:
        problems = [problem for error in errors for problem in error.problems]
        raise DataError(" ".join(map(str, errors)), problems)
    prepared["data"] = replace(
        prepared["data"],
        further=[part for part, _ in further],
        problems=prepared["data"].problems + [p for _, problems in further for p in problems],
    )
    return prepared


def fingerprints(datasets: dict[str, Prepared]) -> dict[str, str]:
    """What the plan has to know of the data: see `plan`."""
    unlabeled = datasets["data"].without_labels().fingerprint()
    return {name: data.fingerprint() for name, data in datasets.items()} | {"unlabeled": unlabeled}


def _further(
    protocol: Protocol, cache: Path | None, held_out: Part | None
) -> list[tuple[Part, list[Problem]]]:
    """The protocol's images without labels, and what is wrong with them."""
    if protocol.unlabeled is None:
        return []
    return [
        prepare_unlabeled(
            protocol.unlabeled,
            protocol.image,
            cache,
            on_problem=protocol.data.on_problem,
            held_out=held_out,
        )
    ]


def carry_out(
    stage: Stage,
    protocol: Protocol,
    data: Prepared,
    root: Path,
    workers: int,
    progress: StudyProgress,
) -> None:
    """Run a stage unless it is done or another process is at it; what fails is recorded.

    Damaged files of it are set aside, and what they held is computed anew.

    Raises:
        DiskFullError: Then the other stages cannot be written either.
    """
    folder = RunFolder(root / stage.folder)
    with folder.claim() as claimed:
        if not claimed:
            progress.skip(stage, "running elsewhere")
            return
        for sentence in folder.repair(stage.seed):
            progress.note(sentence)
        if folder.status == "done":
            progress.skip(stage, "done")
            return
        try:
            start = RunFolder(root / stage.start.folder).status if stage.start else "done"
            if start == "running":
                progress.skip(stage, "its pretraining runs elsewhere; run this again after it")
                return
            if start != "done" and stage.start:
                raise VitrialError(f"{stage.start.name} has not been completed.")

            def on_epoch(history: History) -> None:
                folder.write_metrics(history)
                progress.epoch(stage, history)

            run_stage(stage, protocol, data, root, workers, on_epoch)
        except DiskFullError as error:
            with suppress(DiskFullError):
                folder.fail(str(error))
            raise
        except VitrialError as error:
            folder.fail(str(error))
            progress.fail(stage, str(error))
        except Exception as error:  # recorded with its traceback; the other runs go on
            folder.fail(f"{type(error).__name__}: {error}", traceback.format_exc())
            progress.fail(stage, f"{type(error).__name__}: {error}")
        else:
            progress.finish(stage)


def default_workers() -> int:
    """None on a CPU, where reading a batch is nothing beside training on it; a few for a GPU."""
    return min(4, os.cpu_count() or 1) if torch.cuda.is_available() else 0
