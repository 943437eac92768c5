"""What a study will need, looked for before anything is trained; all that is missing at once.

Weights are opened and put into their models, folders are written to, and what trainings take of
memory and disk is compared with what is free.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from vitrial.atomic import readable
from vitrial.data.cache import default_root
from vitrial.data.io.files import Files
from vitrial.data.prepared import Prepared
from vitrial.errors import MissingError, VitrialError
from vitrial.models.initialization import local_weights, weights_file
from vitrial.protocol import Protocol, Recipe
from vitrial.protocol.checks import backbone_clashes, unknown_names
from vitrial.protocol.yaml_lines import dotted
from vitrial.store.facts import Entry, chain_of
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Stage
from vitrial.store.study import load_study
from vitrial.study.footprint import Footprint, footprint, free_memory
from vitrial.study.initial import initial_model
from vitrial.study.plan import plan, sources_used
from vitrial.study.versions import versions_of
from vitrial.trackers import TRACKERS

SLIP = 10
"""A warm-up this many times as long as the training leaves the rate below a tenth of `base_lr`,
more than two steps of the paper's grid of rates: no recipe means that."""

Planner = Callable[[Protocol, dict[str, str]], list[Stage]]


@dataclass(frozen=True)
class Missing:
    """Something that is needed and not there.

    Attributes:
        sentence: What, and how to get it.
        arms: Names of the arms that cannot do without; empty if no run can.
    """

    sentence: str
    arms: frozenset[str] = frozenset()


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
    missing = list(_missing(protocol, _left(protocol, root, planner), root, cache))
    skipped = {
        arm.name: " ".join(item.sentence for item in missing if arm.name in item.arms)
        for arm in protocol.arms
        if any(arm.name in item.arms for item in missing)
    }
    may_skip = all(item.arms for item in missing) and len(skipped) < len(protocol.arms)
    if missing and not (skip_missing and may_skip):
        lines = "".join(f"\n  {item.sentence}" for item in missing)
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
    wrong = [item.sentence for item in _space([(stage, 1) for stage in left], protocol, root)]
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
                f"{_section(stage, protocol)}.warmup_steps {recipe.warmup_steps:,} exceeds the "
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


@dataclass(frozen=True)
class _Left:
    """A stage of one repetition, how many of its kind are left to do, and the arms that need it."""

    stage: Stage
    count: int
    arms: frozenset[str]


def _left(protocol: Protocol, root: Path, planner: Planner) -> list[_Left]:
    # What one repetition takes, the others take. Nothing is known of the data yet, so that the
    # stages of the plan have other keys than they will have.
    once = protocol.model_copy(update={"repetitions": 1})
    unknown = dict.fromkeys(("data", "unlabeled", *protocol.sources), "unknown")
    stages, done = planner(once, unknown), _done(protocol, root)
    arms: dict[str, set[str]] = defaultdict(set)
    for run in stages:
        if run.kind in ("finetune", "tune"):
            for stage in chain_of(run, stages):
                arms[stage.key].add(run.arm.name)
    left = []
    for stage in stages:
        once_for_all = stage.repetition is None or stage.kind == "tune"
        of = stage.kind, stage.arm.name, Entry.of(stage).fraction
        count = (1 if once_for_all else protocol.repetitions) - done[of]
        if count > 0:
            left.append(_Left(stage, count, frozenset(arms[stage.key])))
    return left


def _done(protocol: Protocol, root: Path) -> Counter[tuple[str, str, float]]:
    """How many stages of a kind, arm and fraction are done, of the same protocol and versions."""
    try:
        study = load_study(root)
    except VitrialError:  # there is none yet
        return Counter()
    if study.facts.protocol != protocol.hash():
        return Counter()
    folders = [(entry, RunFolder(root / entry.folder)) for entry in study.facts.stages]
    return Counter(
        (entry.kind, entry.arm, entry.fraction)
        for entry, folder in folders
        if folder.status == "done" and folder.stage().versions == versions_of(entry.kind)
    )


def _missing(
    protocol: Protocol, left: list[_Left], root: Path, cache: Path | None
) -> Iterator[Missing]:
    yield from _trackers(protocol)
    yield from _data(left, protocol)
    yield from _folders(root, cache or default_root())
    clashes = [
        f"{dotted(clash.keys[0])}: {clash.sentence}." for clash in backbone_clashes(protocol)
    ]
    if clashes:  # and what cannot be built cannot be measured
        yield from map(Missing, clashes)
        return
    yield from _weights(left, protocol)
    yield from _memory(left, protocol)
    yield from _space([(item.stage, item.count) for item in left], protocol, root)


def _trackers(protocol: Protocol) -> Iterator[Missing]:
    """What the trackers need."""
    for name in protocol.trackers:
        extra, modules = TRACKERS.entry(name).EXTRA
        if any(find_spec(module) is None for module in modules):
            yield Missing(f"trackers: {name} needs: pip install 'vitrial[{extra}]'")


def _data(left: list[_Left], protocol: Protocol) -> Iterator[Missing]:
    """The places of data sets, and what reads them."""
    for name, section in {"data": protocol.data, **sources_used(protocol)}.items():
        key = name if name == "data" else f"sources.{name}"
        using = (item for item in left if name != "data" and item.stage.dataset == name)
        arms = _arms_of(using)
        extra, module = section.requires or ("", "")
        if extra and find_spec(module) is None:
            what = f"{key}.source {section.source} needs: pip install 'vitrial[{extra}]'"
            yield Missing(what, arms)
        folder = getattr(section, "root", None)
        if folder is not None and not section.downloads:
            yield from _unreadable(key, folder, arms)
    if protocol.unlabeled is not None:
        yield from _unreadable("unlabeled", protocol.unlabeled, frozenset())


def _unreadable(key: str, root: Path, arms: frozenset[str]) -> Iterator[Missing]:
    try:
        Files(root)
    except VitrialError as error:
        yield Missing(f"{key}: {error}", arms)


def _folders(root: Path, cache: Path) -> Iterator[Missing]:
    """The folders to write to. A cache that is there may hold all it has to."""
    for folder in [root] if cache.exists() else [root, cache]:
        try:
            with tempfile.TemporaryFile(dir=_existing(folder)):
                pass
        except OSError as error:
            what = f"{folder} cannot be written ({error.strerror}): name another folder."
            yield Missing(what)


def _weights(left: list[_Left], protocol: Protocol) -> Iterator[Missing]:
    """The weights that arms start from: there or downloaded, whole, fitting and finite."""
    by_start: dict[tuple[str, str], list[_Left]] = defaultdict(list)
    for item in left:
        arm = item.stage.arm
        if item.stage.start is None and local_weights(arm) is not None:
            by_start[arm.model, arm.origin.of].append(item)
    for items in by_start.values():
        channels, crop = protocol.image.channels, protocol.augment.crop
        try:
            initial_model(items[0].stage.arm, 2, channels, crop, seed=0)
        except VitrialError as error:
            yield Missing(str(error), _arms_of(items))


def _memory(left: list[_Left], protocol: Protocol) -> Iterator[Missing]:
    """One step of each backbone at its batch size."""
    free = free_memory()
    too_large: dict[str, list[_Left]] = defaultdict(list)
    for item in left:
        stage, takes = item.stage, _footprint(item.stage, protocol).step
        if takes > free:
            too_large[
                f"{stage.arm.backbone} takes {readable(takes)} of memory or more for a step of "
                f"{stage.recipe.batch_size:,} images, where {readable(free)} are free: lower "
                f"{_section(stage, protocol)}.batch_size."
            ].append(item)
    for sentence, items in too_large.items():
        yield Missing(sentence, _arms_of(items))


def _space(stages: list[tuple[Stage, int]], protocol: Protocol, root: Path) -> Iterator[Missing]:
    """Disk space: the weights of each stage, and one checkpoint while the next is written.

    Predictions are little beside them, some ten bytes a class and image.
    """
    sizes = [(_footprint(stage, protocol), count) for stage, count in stages]
    needed = sum(size.weights * count for size, count in sizes)
    needed += 2 * max((size.checkpoint for size, _ in sizes), default=0)
    free = shutil.disk_usage(_existing(root)).free
    if needed > free:
        yield Missing(
            f"The runs take {readable(needed)} in {root}, where {readable(free)} are free: make "
            "room, name another folder, or lower repetitions."
        )


def _footprint(stage: Stage, protocol: Protocol) -> Footprint:
    recipe = stage.recipe
    if isinstance(recipe, Recipe):  # rates of their own make no other footprint
        part = math.ceil(recipe.batch_size / recipe.accumulate)
        recipe = Recipe(batch_size=part, precision=recipe.precision)
    return footprint(stage.arm.model, recipe, protocol.image.channels, protocol.augment.crop)


def _section(stage: Stage, protocol: Protocol) -> str:
    """The section of the protocol that a stage's recipe stands in."""
    if stage.kind == "selfsupervise":
        return str(stage.arm.origin.method)
    return "pretrain" if stage.kind == "pretrain" and protocol.pretrain else "recipe"


def _arms_of(items: Iterable[_Left]) -> frozenset[str]:
    return frozenset(name for item in items for name in item.arms)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
