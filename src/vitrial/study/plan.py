"""From a protocol to its runs: a small graph of stages, each named by all that decides its result.

A stage's key is a digest of everything that its bits depend on, so that a changed protocol, data
set or version (`vitrial.study.versions`) makes new runs and never mixes with old ones, while runs
that a change does not touch (another arm, more repetitions) are kept. It is the same on every
machine: what computed a run is in the run's record.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from vitrial.models.initialization import sha256_of
from vitrial.protocol import Arm, Data, Protocol
from vitrial.seeds import seed_of
from vitrial.store.stage import Draw, Stage
from vitrial.study.versions import versions_of
from vitrial.tasks import task_of

Known = dict[str, str | None]
"""Fingerprints of the data, and under `weights` the content of an arm's own file of them."""


def plan(protocol: Protocol, fingerprints: dict[str, str]) -> list[Stage]:
    """All stages of a protocol, a stage after those it needs, each once.

    Repetitions alternate between the arms, so that an interrupted study has compared them all; runs
    on parts of the training images come last, the largest part first.

    Args:
        protocol: The experiment.
        fingerprints: Of the data set `data`, of each entry of `sources` that an arm uses, and of
            what self-supervision sees, `unlabeled`.
    """
    stages: dict[str, Stage] = {}
    contents = {arm.name: content_of(arm) for arm in protocol.arms}
    repetitions = range(1, protocol.repetitions + 1)
    for share, repetition in product(reversed(protocol.fractions), repetitions):
        for arm in protocol.arms:
            known: Known = {**fingerprints, "weights": contents[arm.name]}
            for stage in _run_of(protocol, arm, repetition, share, known):
                stages.setdefault(stage.folder, stage)
    return list(stages.values())


def sources_used(protocol: Protocol) -> dict[str, Data]:
    """The entries of `sources` that arms transfer from."""
    used = {arm.origin.of for arm in protocol.arms if arm.origin.kind == "transfer"}
    return {name: data for name, data in protocol.sources.items() if name in used}


def _run_of(
    protocol: Protocol, arm: Arm, repetition: int, share: float, known: Known
) -> list[Stage]:
    """The stages of a run, the first first."""
    shared = None if protocol.share_pretraining else repetition
    fraction = _fraction(protocol, shared, share)
    stages: list[Stage] = []
    if arm.origin.kind == "transfer":
        stages.append(_pretrain(protocol, arm, shared, known))
    if arm.origin.method is not None:
        start = stages[-1].folder if stages else None
        stages.append(_selfsupervise(protocol, arm, shared, fraction, start, known))
    start = stages[-1].folder if stages else None
    return [*stages, _finetune(protocol, arm, repetition, fraction, start, known)]


def _finetune(
    protocol: Protocol,
    arm: Arm,
    repetition: int,
    fraction: Draw | None,
    start: str | None,
    known: Known,
) -> Stage:
    names = (arm.name, repetition, "finetune", *_share_of(fraction))
    return Stage(
        kind="finetune",
        arm=arm,
        repetition=repetition,
        dataset="data",
        recipe=protocol.recipe_of(arm),
        seed=seed_of(protocol.name, protocol.seed, *names),
        versions=versions_of("finetune"),
        image=protocol.image,
        augment=protocol.augment,
        data=known["data"],
        start=start,
        weights=known["weights"],
        endpoint=protocol.endpoint,
        fraction=fraction,
        labeled=_labeled(protocol, repetition),
    )


def _pretrain(protocol: Protocol, arm: Arm, repetition: int | None, known: Known) -> Stage:
    # Of the arm only what its pretraining depends on, so that arms share it.
    arm = Arm(backbone=arm.backbone, initialization=str(arm.origin.base))
    graded = task_of(protocol.endpoint).ordered  # a source's classes need no order
    return Stage(
        kind="pretrain",
        arm=arm,
        repetition=repetition,
        dataset=arm.origin.of,
        recipe=protocol.pretrain or protocol.recipe,
        seed=seed_of(protocol.name, protocol.seed, arm.name, *_numbered(repetition), "pretrain"),
        versions=versions_of("pretrain"),
        image=protocol.image,
        augment=protocol.augment,
        data=known[arm.origin.of],
        endpoint="balanced_accuracy" if graded else protocol.endpoint,
    )


def _selfsupervise(
    protocol: Protocol,
    arm: Arm,
    repetition: int | None,
    fraction: Draw | None,
    start: str | None,
    known: Known,
) -> Stage:
    arm = Arm(backbone=arm.backbone, initialization=arm.initialization)
    names = (arm.name, *_numbered(repetition), "selfsupervise", *_share_of(fraction))
    return Stage(
        kind="selfsupervise",
        arm=arm,
        repetition=repetition,
        dataset="data",
        recipe=protocol.recipe_of_method(str(arm.origin.method)),
        seed=seed_of(protocol.name, protocol.seed, *names),
        versions=versions_of("selfsupervise"),
        image=protocol.image,
        augment=protocol.augment,
        data=known["data"],
        start=start,
        weights=known["weights"],
        fraction=fraction,
        labeled=_labeled(protocol, repetition),
        unlabeled=known["unlabeled"],
        normalize=protocol.recipe.normalize,
    )


def _numbered(repetition: int | None) -> tuple[int, ...]:
    return () if repetition is None else (repetition,)


def _fraction(protocol: Protocol, repetition: int | None, share: float) -> Draw | None:
    """The draw of a part of the training images, the same for all arms; None for all of them.

    Runs that share a pretraining share its images.
    """
    if share == 1:
        return None
    return Draw(share, seed_of(protocol.name, protocol.seed, *_numbered(repetition), "fraction"))


def _share_of(fraction: Draw | None) -> tuple[float, ...]:
    return () if fraction is None else (fraction.share,)


def _labeled(protocol: Protocol, repetition: int | None) -> Draw | None:
    """The draw of the labels that a stage may use, the same for all arms; None for all labels."""
    share = protocol.split.labeled
    if share == 1:
        return None
    # Seeds keep the spelling of version 0.1: another word would draw other labels.
    seed = seed_of(protocol.name, protocol.seed, *_numbered(repetition), "labelled")
    return Draw(share, seed)


def content_of(arm: Arm) -> str | None:
    """Digest of an arm's own file of weights, `file:PATH`; timm's are named by their tag.

    None where it starts from others, or the file is missing.
    """
    path = Path(arm.origin.of)
    return sha256_of(path) if arm.origin.kind == "file" and path.is_file() else None
