"""Everything that the stages left to do need, looked for one after the other."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from vitrial.atomic import readable
from vitrial.data.cache import default_root
from vitrial.data.io.files import Files
from vitrial.errors import VitrialError
from vitrial.models.initialization import local_weights
from vitrial.protocol import Protocol, Recipe
from vitrial.protocol.checks import backbone_clashes
from vitrial.protocol.yaml_lines import dotted
from vitrial.store.stage import Stage
from vitrial.study.footprint import Footprint, footprint, free_memory
from vitrial.study.initial import initial_model
from vitrial.study.left import Left
from vitrial.study.plan import sources_used
from vitrial.trackers import TRACKERS


@dataclass(frozen=True)
class Missing:
    """Something that is needed and not there.

    Attributes:
        sentence: What, and how to get it.
        arms: Names of the arms that cannot do without; empty if no run can.
    """

    sentence: str
    arms: frozenset[str] = frozenset()


def missing(
    protocol: Protocol, left: list[Left], root: Path, cache: Path | None
) -> Iterator[Missing]:
    """All that what is left needs and that is not there."""
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
    yield from space_missing([(item.stage, item.count) for item in left], protocol, root)


def _trackers(protocol: Protocol) -> Iterator[Missing]:
    """What the trackers need."""
    for name in protocol.trackers:
        extra, modules = TRACKERS.entry(name).EXTRA
        if any(find_spec(module) is None for module in modules):
            yield Missing(f"trackers: {name} needs: pip install 'vitrial[{extra}]'")


def _data(left: list[Left], protocol: Protocol) -> Iterator[Missing]:
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


def _weights(left: list[Left], protocol: Protocol) -> Iterator[Missing]:
    """The weights that arms start from: there or downloaded, whole, fitting and finite."""
    by_start: dict[tuple[str, str], list[Left]] = defaultdict(list)
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


def _memory(left: list[Left], protocol: Protocol) -> Iterator[Missing]:
    """One step of each backbone at its batch size."""
    free = free_memory()
    too_large: dict[str, list[Left]] = defaultdict(list)
    for item in left:
        stage, takes = item.stage, _footprint(item.stage, protocol).step
        if takes > free:
            too_large[
                f"{stage.arm.backbone} takes {readable(takes)} of memory or more for a step of "
                f"{stage.recipe.batch_size:,} images, where {readable(free)} are free: lower "
                f"{section_of(stage, protocol)}.batch_size."
            ].append(item)
    for sentence, items in too_large.items():
        yield Missing(sentence, _arms_of(items))


def space_missing(
    stages: list[tuple[Stage, int]], protocol: Protocol, root: Path
) -> Iterator[Missing]:
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


def section_of(stage: Stage, protocol: Protocol) -> str:
    """The section of the protocol that a stage's recipe stands in."""
    if stage.kind == "selfsupervise":
        return str(stage.arm.origin.method)
    return "pretrain" if stage.kind == "pretrain" and protocol.pretrain else "recipe"


def _arms_of(items: Iterable[Left]) -> frozenset[str]:
    return frozenset(name for item in items for name in item.arms)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
