"""Grid search of the base learning rate on validation, as the paper does for random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from vitrial.errors import VitrialError
from vitrial.events import Listener, Note, listening, tell
from vitrial.layout import TUNED
from vitrial.metrics import ENDPOINTS
from vitrial.metrics.metric import Metric
from vitrial.outputs import refuse_existing
from vitrial.protocol import Arm, Protocol, Recipe
from vitrial.protocol.file import write_protocol
from vitrial.seeds import seed_of
from vitrial.store.registration import refuse_foreign_study, register
from vitrial.store.run_folder import RunFolder, lay_down
from vitrial.store.stage import Stage
from vitrial.study.carry_out import Work
from vitrial.study.datasets import fingerprints, prepare_datasets
from vitrial.study.executors import INLINE, executor_of
from vitrial.study.plan import plan
from vitrial.study.preflight import check_stages, preflight, without
from vitrial.study.track import tracking
from vitrial.study.versions import versions_of

RATES = (3e-5, 1e-4, 3e-4, 1e-3)


@dataclass(frozen=True)
class Tuning:
    """What a grid search found.

    Attributes:
        scores: A row per arm and rate: `arm`, `base_lr`, `score` (best validation endpoint; missing
            where the run failed), `best` (whether the rate is the arm's choice).
        protocol: The protocol with each arm's best rate.
        path: The file of that protocol.
    """

    scores: pd.DataFrame
    protocol: Protocol
    path: Path


def tune_rates(
    protocol: Protocol,
    rates: tuple[float, ...] | list[float] = RATES,
    out: Path | str | None = None,
    *,
    cache: Path | None = None,
    workers: int | None = None,
    listen: Listener | None = None,
    skip_missing: bool = False,
    overwrite: bool = False,
    executor: str = INLINE,
    options: Mapping[str, object] | None = None,
    devices: int = 1,
) -> Tuning:
    """Train each arm once at each rate and keep the rate of the best validation score.

    Test images are not touched. Like a study, an interrupted search resumes.

    Args:
        protocol: The experiment.
        rates: Base learning rates to try.
        out: The study's folder; `studies/<name>` if left out.
        cache: Where pixel caches lie.
        workers: Threads that read batches ahead.
        listen: Called with each event of `vitrial.events`; the terminal shows them if left out.
        skip_missing: Go on without the arms whose weights, data or memory are missing; they keep
            their rates.
        overwrite: Whether `tuned.yaml` may be there already.
        executor: What carries the stages out: see `vitrial.study.execute.run`.
        options: Likewise.
        devices: Likewise.

    Raises:
        VitrialError: A rate is impossible, something that the runs need is missing, every arm
            failed at every rate, `tuned.yaml` is there already, or `out` is not empty and holds no
            study.
    """
    for rate in rates:
        _check_rate(rate, protocol)
    carry_out = executor_of(executor, options)
    root = Path(out) if out is not None else Path("studies") / protocol.name
    refuse_existing(root / TUNED, overwrite)
    refuse_foreign_study(root)

    def planner(protocol: Protocol, fingerprints: dict[str, str]) -> list[Stage]:
        return tuning_stages(protocol, tuple(rates), fingerprints)

    with listening(listen):
        skipped = preflight(protocol, root, cache, skip_missing=skip_missing, planner=planner)
        carried_out = without(protocol, skipped)
        register(root, protocol)
        datasets = prepare_datasets(carried_out, cache)
        stages = planner(carried_out, fingerprints(datasets))
        notes = check_stages(stages, protocol, datasets, root)
        for note in notes + [f"Skipped: {arm}. {why}" for arm, why in skipped.items()]:
            tell(Note(note))
        lay_down(root, stages)
        with tracking(protocol, root, stages):
            carry_out(Work(root, cache, workers, devices), stages, datasets)
    tuned_stages = [stage for stage in stages if stage.kind == "tune"]
    scores = _scores(tuned_stages, ENDPOINTS[protocol.endpoint], root)
    tuned = protocol.model_copy(update={"arms": _tuned_arms(protocol, scores)})
    write_protocol(tuned, root / TUNED)
    return Tuning(scores, tuned, root / TUNED)


def _check_rate(rate: float, protocol: Protocol) -> None:
    try:
        Recipe(base_lr=rate)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Input should be ")
        raise VitrialError(f"The rate {rate:g} must be {why}.") from error
    if rate < protocol.recipe.plateau.final_lr:
        raise VitrialError(
            f"The rate {rate:g} lies below recipe.plateau.final_lr "
            f"{protocol.recipe.plateau.final_lr:g}: try larger rates."
        )


def tuning_stages(
    protocol: Protocol, rates: tuple[float, ...], fingerprints: dict[str, str]
) -> list[Stage]:
    """A stage for each arm and rate, all rates of an arm with the same seed."""
    stages: dict[str, Stage] = {}
    for rate in rates:
        arms = [arm.with_rate(rate) for arm in protocol.arms]
        once = protocol.model_copy(update={"arms": arms, "repetitions": 1, "fractions": [1.0]})
        for stage in plan(once, fingerprints):
            if stage.kind == "finetune":
                seed = seed_of(protocol.name, protocol.seed, stage.arm.name, "tune")
                versions = versions_of("tune")
                stage = replace(stage, kind="tune", seed=seed, versions=versions)
            stages.setdefault(stage.folder, stage)
    return list(stages.values())


def _scores(stages: list[Stage], metric: Metric, root: Path) -> pd.DataFrame:
    rows = []
    for stage in stages:
        folder = RunFolder(root / stage.folder)
        score = folder.result().best_score if folder.status == "done" else None
        rows.append({"arm": stage.arm.name, "base_lr": stage.recipe.base_lr, "score": score})
    scores = pd.DataFrame(rows).astype({"score": float})
    gains = scores["score"].dropna().map(metric.gain)
    best = gains.groupby(scores["arm"]).idxmax()
    scores["best"] = scores.index.isin(best)
    return scores


def _tuned_arms(protocol: Protocol, scores: pd.DataFrame) -> list[Arm]:
    """The arms with their best rates; an arm that failed at every rate stays as it is."""
    rows = scores.loc[scores["best"]].to_dict("records")
    best = {row["arm"]: float(row["base_lr"]) for row in rows}
    if not best:
        raise VitrialError("No arm could be trained at any rate: see the lines above.")
    return [arm.with_rate(best[arm.name]) if arm.name in best else arm for arm in protocol.arms]
