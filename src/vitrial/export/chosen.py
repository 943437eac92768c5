"""Which model is exported: of a study's arm the best repetition, or the stage that is named."""

from __future__ import annotations

import shlex
from pathlib import Path

from vitrial.errors import VitrialError
from vitrial.export.exported import Exported, Run
from vitrial.layout import RESULT
from vitrial.metrics import ENDPOINTS
from vitrial.spelling import did_you_mean
from vitrial.store.facts import Entry
from vitrial.store.registration import holds_study
from vitrial.store.run_folder import RunFolder
from vitrial.store.study import Study, load_study


def choose(
    path: Path,
    arm: str | None = None,
    repetition: int | None = None,
    root: Path | None = None,
    cache: Path | None = None,
) -> Exported:
    """Choose the stage to export.

    Args:
        path: A study's folder, or that of a finished run or pretraining.
        arm: Of the study; may be left out where it has one.
        repetition: Of the arm; the one with the best validation score if left out. Test scores
            choose nothing.
        root: Where the data lie now, in place of the protocol's data.root.
        cache: Where pixel caches lie.

    Raises:
        VitrialError: There is no such arm, repetition or finished stage, with what there is.
    """
    if holds_study(path):
        study = load_study(path)
        entry, folder, why = _of_arm(study, arm, repetition)
        return Exported(folder, Run(study, entry, why, root, cache))
    folder = RunFolder(path)
    if not folder.is_finished:
        raise VitrialError(f"{path} is no study, finished run or pretraining. {_finished(path)}")
    if arm is not None or repetition is not None:
        raise VitrialError(f"{path} is one stage: --arm and --repetition choose in a study.")
    if folder.stage().kind != "finetune":
        return Exported(folder)
    study = load_study(path.resolve().parents[1])
    found = [(entry, run) for entry, run in study.runs_of_all_sizes() if _same(run.path, path)]
    if not found:
        raise VitrialError(
            f"{path} is of a former protocol, data set or program: {study.path} does not use it."
        )
    return Exported(folder, Run(study, found[0][0], "The run was named.", root, cache))


def _of_arm(study: Study, arm: str | None, repetition: int | None) -> tuple[Entry, RunFolder, str]:
    names = [one.name for one in study.protocol.arms]
    if arm is None and len(names) > 1:
        listed = "".join(f"\n  --arm {shlex.quote(name)}" for name in names)
        raise VitrialError(f"{study.path} has {len(names)} arms; name one:{listed}")
    arm = arm or names[0]
    if arm not in names:
        hint = did_you_mean(arm, names) or f": it has {', '.join(names)}."
        raise VitrialError(f"{study.path} has no arm '{arm}'{hint}")
    runs = [(entry, folder) for entry, folder in study.runs() if entry.arm == arm]
    if not runs:
        raise VitrialError(f"No run of {arm} is finished: `vitrial status` shows what there is.")
    if repetition is not None:
        for entry, folder in runs:
            if entry.repetition == repetition:
                return entry, folder, f"Repetition {repetition} was asked for."
        there = ", ".join(str(entry.repetition) for entry, _ in runs)
        raise VitrialError(f"{arm} has no finished repetition {repetition}: there are {there}.")
    metric = ENDPOINTS[study.protocol.endpoint]
    scores = [max(folder.metrics()["score"], key=metric.gain) for _, folder in runs]
    best = max(range(len(runs)), key=lambda i: metric.gain(scores[i]))
    why = (
        f"Repetition {runs[best][0].repetition} of {len(runs)} has the best {metric.label} on "
        f"validation, {scores[best]:.3f}."
    )
    return *runs[best], why


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _finished(folder: Path) -> str:
    """The finished stages below a folder, as a sentence."""
    found = sorted(path.parent for path in folder.glob(f"*/*/{RESULT}"))
    if not found:
        return "There is none in it."
    return "Name one of those in it:" + "".join(f"\n  {path}" for path in found)
