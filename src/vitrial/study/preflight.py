"""What a study will need, looked for before anything is trained; all that is missing at once.

Weights are opened and put into their models, folders are written to, and what trainings take of
memory and disk is compared with what is free.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from vitrial.data.prepared import Prepared
from vitrial.errors import MissingError, VitrialError
from vitrial.models.initialization import weights_file
from vitrial.protocol import Protocol, Recipe
from vitrial.protocol.checks import unknown_names
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Stage
from vitrial.study.left import Planner, stages_left
from vitrial.study.missing import missing, section_of, space_missing
from vitrial.study.plan import plan

SLIP = 10
"""A warm-up this many times as long as the training leaves the rate below a tenth of `base_lr`,
more than two steps of the paper's grid of rates: no recipe means that."""


def preflight(
    protocol: Protocol,
    root: Path,
    cache: Path | None = None,
    *,
    skip_missing: bool = False,
    planner: Planner = plan,
) -> dict[str, str]:
    """Look for everything that the runs left to do will need; no image is read.

    Args:
        protocol: The experiment.
        root: The study's folder.
        cache: Where pixel caches lie.
        skip_missing: Leave out arms whose weights are missing, and run the others.
        planner: Makes the stages: `plan`, or a search of rates.

    Returns:
        The arms to skip, by name, each with what is missing.

    Raises:
        MissingError: Something is missing, with everything that is.
    """
    if unknown := [clash.sentence for clash in unknown_names(protocol.arms)]:
        raise VitrialError(f"{protocol.name} cannot be run: {'; '.join(unknown)}.")
    lacking = list(missing(protocol, stages_left(protocol, root, planner), root, cache))
    skipped = {
        arm.name: " ".join(item.sentence for item in lacking if arm.name in item.arms)
        for arm in protocol.arms
        if any(arm.name in item.arms for item in lacking)
    }
    may_skip = all(item.arms for item in lacking) and len(skipped) < len(protocol.arms)
    if lacking and not (skip_missing and may_skip):
        lines = "".join(f"\n  {item.sentence}" for item in lacking)
        skippable = tuple(skipped) if len(skipped) < len(protocol.arms) else ()
        raise MissingError(f"{protocol.name} cannot be run yet:{lines}", skippable, may_skip)
    return skipped


def without(protocol: Protocol, skipped: Iterable[str]) -> Protocol:
    """The protocol without some arms."""
    arms = [arm for arm in protocol.arms if arm.name not in set(skipped)]
    return protocol.model_copy(update={"arms": arms})


def check_stages(
    stages: list[Stage], protocol: Protocol, datasets: dict[str, Prepared], root: Path
) -> list[str]:
    """What is known of the runs left to do once the images are prepared.

    Returns:
        A sentence for each training that ends within its warm-up.

    Raises:
        VitrialError: A warm-up is out of all proportion to its training, the caches have left too
            little space, or weights are missing after all.
    """
    left = [stage for stage in stages if RunFolder(root / stage.folder).status != "done"]
    wrong = [
        item.sentence for item in space_missing([(stage, 1) for stage in left], protocol, root)
    ]
    wrong += _without_weights(left)
    times = _warm_ups(left, protocol, datasets)
    wrong += [sentence for sentence in times if times[sentence] > SLIP]
    if wrong:
        raise VitrialError("\n".join(wrong))
    return list(times)


def _warm_ups(
    stages: list[Stage], protocol: Protocol, datasets: dict[str, Prepared]
) -> dict[str, float]:
    """A sentence for each warm-up that exceeds its training, and how many times as long it is."""
    times = {}
    for stage in stages:
        recipe = stage.recipe
        if not isinstance(recipe, Recipe):
            continue
        share = 1.0 if stage.fraction is None else stage.fraction.share
        images = share * len(datasets[stage.dataset].rows_of("train"))
        batches = math.ceil(images / recipe.batch_size)
        steps = recipe.epochs * batches
        if recipe.warmup_steps > steps:
            sentence = (
                f"{section_of(stage, protocol)}.warmup_steps {recipe.warmup_steps:,} exceeds the "
                f"{steps:,} steps of a training on `{stage.dataset}` ({recipe.epochs:,} epochs of "
                f"{batches:,} batches), whose rate never reaches base_lr: lower it or raise epochs."
            )
            times[sentence] = recipe.warmup_steps / steps
    return times


def _without_weights(stages: list[Stage]) -> Iterator[str]:
    arms = {(s.arm.model, s.arm.origin.base): s.arm for s in stages if s.start is None}
    for arm in arms.values():
        try:
            weights_file(arm)
        except VitrialError as error:
            yield str(error)
