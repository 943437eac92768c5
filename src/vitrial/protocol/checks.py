"""Combinations in a protocol that cannot work, though each value alone could."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from vitrial.metrics import ENDPOINTS
from vitrial.protocol.selfsupervision import RECIPES
from vitrial.protocol.yaml_lines import Location, dotted
from vitrial.spelling import did_you_mean

if TYPE_CHECKING:
    from vitrial.protocol import Arm, Data, Protocol, Recipe

MOST_ARMS = 200
MOST_RUNS = 10_000
"""Each keeps its weights: of a small ViT 10,000 fill a terabyte."""


RESERVED = ("data", "unlabeled")
"""No source may be called so: the data set and the images without labels are known by these names,
and another's fingerprint in their place would let stale weights be used again."""


class Clash(NamedTuple):
    """A combination that cannot work.

    Attributes:
        sentence: Why not, and what to change.
        keys: The keys that clash; the first is the one to point at.
    """

    sentence: str
    keys: tuple[Location, ...]


def find_clashes(protocol: Protocol) -> list[Clash]:
    """All combinations of values that cannot work, in the order of the protocol's sections."""
    return [
        *_data_clashes(protocol.data, ("data",)),
        *_source_clashes(protocol),
        *_crop_clashes(protocol),
        *_view_clashes(protocol),
        *_arm_clashes(protocol),
        *_pair_clashes(protocol),
        *_run_clashes(protocol),
        *_recipe_clashes(protocol.recipe, "recipe"),
        *_pretrain_clashes(protocol),
        *_endpoint_clashes(protocol),
        *_comparison_clashes(protocol),
    ]


def unknown_names(arms: Iterable[Arm]) -> Iterator[Clash]:
    """Backbones and weights of arms that timm has not.

    Apart from `find_clashes`: a study that was run with another timm must pass that, too, and
    timm's import takes seconds.
    """
    from vitrial.models.names import check_backbone

    for i, arm in enumerate(arms):
        at = "backbone"
        try:
            check_backbone(arm.backbone)
            at = "initialization"
            _ = arm.model
        except ValueError as error:
            yield Clash(str(error), (("arms", i, at),))


def backbone_clashes(protocol: Protocol) -> Iterator[Clash]:
    """Backbones that timm has not or that cannot take the protocol's images: each is built once."""
    from vitrial.models.fits import (
        refused_size,
        refused_views,
    )  # torch and timm take seconds to import

    unknown = list(unknown_names(protocol.arms))
    yield from unknown
    channels, crop = protocol.image.channels, protocol.augment.crop
    for i, arm in enumerate(protocol.arms):
        if any(clash.keys[0][1] == i for clash in unknown):
            continue
        at: Location = ("arms", i, "backbone")
        why = refused_size(arm.model, channels, crop, "augment.crop")
        if why is not None:
            yield Clash(why, (at, ("augment", "crop")))
        elif method := arm.origin.method:
            recipe = protocol.recipe_of_method(method)
            why = refused_views(arm.model, channels, crop, recipe)
            if why is not None:
                yield Clash(why, (at, (method,)))


def _data_clashes(data: Data, at: Location) -> Iterator[Clash]:
    for sentence, keys in data.clashes():
        yield Clash(sentence, tuple((*at, key) for key in keys))


def _source_clashes(protocol: Protocol) -> Iterator[Clash]:
    for name, data in protocol.sources.items():
        if name in RESERVED:
            sentence = f"'{name}' is reserved and cannot name a source: choose another name"
            yield Clash(sentence, (("sources", name),))
        elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            sentence = f"'{name}' cannot name a source: use letters, digits, . _ - only"
            yield Clash(sentence, (("sources", name),))
        yield from _data_clashes(data, ("sources", name))


def _crop_clashes(protocol: Protocol) -> Iterator[Clash]:
    crop, resize = protocol.augment.crop, protocol.image.resize
    if crop > resize:
        sentence = f"a crop of {crop} pixels does not fit into image.resize {resize}"
        yield Clash(sentence, (("augment", "crop"), ("image", "resize")))
    for i, arm in enumerate(protocol.arms):
        yield from _patch_clash(arm, ("arms", i, "backbone"), crop, ("augment", "crop"))


def _view_clashes(protocol: Protocol) -> Iterator[Clash]:
    crop = protocol.augment.crop
    for method in RECIPES.names():
        small = protocol.recipe_of_method(method).small_views
        arms = [(i, arm) for i, arm in enumerate(protocol.arms) if arm.origin.method == method]
        if not arms or small is None:
            continue
        at, size = (method, *small[0]), small[1]
        if size > crop:
            views = small[0][0].replace("_", " ")
            sentence = f"{views} of {size} pixels exceed augment.crop {crop}"
            yield Clash(sentence, (at, ("augment", "crop")))
        for i, arm in arms:
            yield from _patch_clash(arm, ("arms", i, "backbone"), size, at)


def _patch_clash(arm: Arm, backbone: Location, size: int, at: Location) -> Iterator[Clash]:
    # timm's names state the patch size; from what is left over the model would see nothing.
    patch = re.search(r"_patch(\d+)", arm.backbone)
    side = int(patch[1]) if patch else 1
    if size % side:
        below = size - size % side
        sentence = (
            f"patches of {side} pixels do not fill {dotted(at)} {size}: "
            f"{f'{below} or ' if below else ''}{below + side} would do"
        )
        yield Clash(sentence, (backbone, at))


def _arm_clashes(protocol: Protocol) -> Iterator[Clash]:
    for i, arm in enumerate(protocol.arms):
        initialization: Location = ("arms", i, "initialization")
        origin = arm.origin
        if origin.kind == "transfer" and origin.of not in protocol.sources:
            known = ", ".join(protocol.sources) or "there are none"
            sentence = f"'{origin.base}' names no entry of sources ({known})"
            yield Clash(sentence, (initialization, ("sources", origin.of)))
        if arm.changes:
            yield from _arm_recipe_clashes(protocol, i, arm)


def _arm_recipe_clashes(protocol: Protocol, place: int, arm: Arm) -> Iterator[Clash]:
    """Combinations of an arm's own recipe and the protocol's, where the arm adds them."""
    of_all = {clash.sentence for clash in _recipe_clashes(protocol.recipe, "recipe")}
    for clash in _recipe_clashes(protocol.recipe_of(arm), "recipe"):
        if clash.sentence not in of_all:
            key = clash.keys[0][1:]
            stated = next((k[1:] for k in clash.keys if k[1] in arm.changes), key)
            yield Clash(clash.sentence, (("arms", place, "recipe", *stated), *clash.keys))


def _pair_clashes(protocol: Protocol) -> Iterator[Clash]:
    names = [arm.name for arm in protocol.arms]
    origins = [arm.origin for arm in protocol.arms]
    for (i, one), (j, other) in combinations(enumerate(protocol.arms), 2):
        backbones = (("arms", j, "backbone"), ("arms", i, "backbone"))
        starts = (("arms", j, "initialization"), ("arms", i, "initialization"))
        if names[i] == names[j]:
            sentence = f"the arm '{names[j]}' is listed already"
            if one.origin != other.origin:
                sentence += ": to compare weights, name them by timm:TAG"
            elif one.id is None and one.changes != other.changes:
                sentence += ": to compare recipes, give each an id"
            yield Clash(sentence, backbones + starts)
        ours, theirs = (arm.backbone.partition(".")[0] for arm in (one, other))
        if origins[i].kind == "file" and origins[i].base == origins[j].base and ours != theirs:
            sentence = f"one file cannot hold the weights of {ours} and of {theirs}"
            yield Clash(sentence, starts + backbones)


def _run_clashes(protocol: Protocol) -> Iterator[Clash]:
    sizes = len(protocol.fractions)
    runs = len(protocol.arms) * protocol.repetitions * sizes
    if runs > MOST_RUNS:
        sentence = (
            f"{len(protocol.arms)} arms x {protocol.repetitions} repetitions"
            f"{f' x {sizes} fractions' if sizes > 1 else ''} are {runs:,} runs, "
            f"more than {MOST_RUNS:,}"
        )
        yield Clash(sentence, (("repetitions",), ("arms",), ("fractions",)))
    rising = sorted(set(protocol.fractions))
    if protocol.fractions != rising or rising[-1] != 1:
        yield Clash(
            "must rise to 1, each fraction once: such as [0.25, 0.5, 1.0]", (("fractions",),)
        )


def _recipe_clashes(recipe: Recipe, section: str) -> Iterator[Clash]:
    final_lr = recipe.plateau.final_lr
    if final_lr > recipe.base_lr:
        sentence = f"{final_lr:g} exceeds {section}.base_lr {recipe.base_lr:g}"
        yield Clash(sentence, ((section, "plateau", "final_lr"), (section, "base_lr")))
    if recipe.sampling == recipe.class_weights == "balanced":
        sentence = "balanced sampling and balanced class_weights correct twice: choose one"
        yield Clash(sentence, ((section, "sampling"), (section, "class_weights")))


def _pretrain_clashes(protocol: Protocol) -> Iterator[Clash]:
    origins = [arm.origin for arm in protocol.arms]
    if protocol.pretrain is not None:
        yield from _recipe_clashes(protocol.pretrain, "pretrain")
        if not any(origin.kind == "transfer" for origin in origins):
            sentence = "nothing is pretrained: no arm starts from transfer:NAME"
            yield Clash(sentence, (("pretrain",), ("arms",)))
    if protocol.unlabeled is not None and not any(origin.method for origin in origins):
        methods = " or ".join(f"+{name}" for name in RECIPES.names())
        sentence = f"nothing learns from it: no arm has {methods}"
        yield Clash(sentence, (("unlabeled",), ("arms",)))


def _endpoint_clashes(protocol: Protocol) -> Iterator[Clash]:
    """Known data sets without order; labels of one's own are looked at when they are read."""
    data = protocol.data
    if not ENDPOINTS[protocol.endpoint].needs_order or data.classes is not None:
        return
    if unordered := data.unordered():
        sentence = (
            f"{protocol.endpoint} grades by the order of classes, and {unordered} have none: "
            "choose balanced_accuracy, or state an order with data.classes"
        )
        keys = (("endpoint",), ("data", "classes"), ("data", "source"), ("data", "task"))
        yield Clash(sentence, keys)


def _comparison_clashes(protocol: Protocol) -> Iterator[Clash]:
    names = [arm.name for arm in protocol.arms]
    listed: dict[tuple[object, ...], int] = {}
    for i, comparison in enumerate(protocol.comparisons or []):
        treatment, control = comparison.treatment, comparison.control
        at: Location = ("comparisons", i)
        keys: tuple[Location, ...] = ((*at, "treatment"), (*at, "control"))
        for key, name in zip(keys, (treatment, control), strict=True):
            if name not in names:
                hint = did_you_mean(name, names) or f": choose {' or '.join(names[:10])}"
                yield Clash(f"no arm is called '{name}'{hint}", (key, ("arms",)))
        if treatment == control:
            yield Clash(f"'{treatment}' is compared with itself", keys)
        # With another margin or alpha it would be judged twice, and the better answer kept.
        same = (treatment, control, comparison.claim, comparison.endpoint or protocol.endpoint)
        first = listed.setdefault((*same, comparison.family), i)
        if first != i:
            sentence = f"comparisons[{first}] claims the same of the same arms: keep one"
            yield Clash(sentence, (at, ("comparisons", first)))
        if comparison.claim != "superior" and not (comparison.margin or protocol.margin):
            sentence = f"'{comparison.claim}' needs a margin above 0: state one"
            yield Clash(sentence, ((*at, "margin"), ("margin",)))
