"""From a protocol to its runs: a small graph of stages, each named by all that decides its result.

A stage's key is a digest of everything that its bits depend on, so that a changed protocol, data
set or program makes new runs and never mixes with old ones, while runs that a change does not
touch (another arm, more repetitions) are kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from vitrial.metrics import ENDPOINTS
from vitrial.models.initialization import local_weights, sha256_of
from vitrial.protocol import Arm, Data, Protocol, Recipe, SelfSupervision, digest
from vitrial.seeds import seed_of


@dataclass(frozen=True)
class Stage:
    """One training.

    `pretrain` is supervised, on a source; `selfsupervise` needs no labels; `finetune` makes a run;
    `tune` tries a rate. Runs share the first two.

    Attributes:
        kind: What it is.
        arm: Backbone and initialization.
        repetition: From 1; None for what all repetitions share.
        dataset: `data`, or the entry of `sources`.
        recipe: How to optimize.
        seed: Decides every random draw.
        start: The stage whose weights it starts from.
        inputs: What else decides its bits: data, the draw of labels, views, endpoint, program.
    """

    kind: Literal["pretrain", "selfsupervise", "finetune", "tune"]
    arm: Arm
    repetition: int | None
    dataset: str
    recipe: Recipe | SelfSupervision
    seed: int
    start: Stage | None
    inputs: dict[str, Any] = field(repr=False)

    @cached_property
    def key(self) -> str:
        """Digest of all that decides the stage's result."""
        return digest(
            {
                "kind": self.kind,
                "backbone": self.arm.model,
                "initialization": str(self.arm.origin),
                "weights": content_of(self.arm),
                "recipe": self.recipe.model_dump(mode="json"),
                "seed": self.seed,
                "start": self.start.key if self.start else None,
                **self.inputs,
            }
        )

    @property
    def name(self) -> str:
        """What a person calls it."""
        ending = "" if self.repetition is None else f", repetition {self.repetition}"
        if self.kind == "pretrain":
            return f"{self.arm.backbone} / pretraining on {self.dataset}{ending}"
        if self.kind == "selfsupervise":
            return f"{self.arm.name}, self-supervision{ending}"
        if self.kind == "tune":
            return f"{self.arm.name}, base rate {self.recipe.base_lr:g}"
        return f"{self.arm.name}{ending}"

    @property
    def folder(self) -> str:
        """Its folder below the study's, unique to its key."""
        slug = "-".join((self.arm.backbone, str(self.arm.origin))).replace(":", "-")
        slug += "" if self.repetition is None else f"-{self.repetition}"
        if self.kind in ("pretrain", "selfsupervise"):
            return f"pretrained/{slug}-{self.key}"
        if self.kind == "tune":
            return f"tuning/{slug}-{self.recipe.base_lr:g}-{self.key}"
        return f"runs/{slug}-{self.key}"

    @property
    def chain(self) -> list[Stage]:
        """The stages that it starts from, the first first, and itself."""
        return [*(self.start.chain if self.start else []), self]


def plan(protocol: Protocol, fingerprints: dict[str, str]) -> list[Stage]:
    """All stages of a protocol, a stage after those it needs, each once.

    Repetitions alternate between the arms, so that an interrupted study has compared them all.

    Args:
        protocol: The experiment.
        fingerprints: Of the data set `data`, of each entry of `sources` that an arm uses, and of
            what self-supervision sees, `unlabeled`.
    """
    stages: dict[str, Stage] = {}
    for repetition in range(1, protocol.repetitions + 1):
        for arm in protocol.arms:
            for stage in _finetune(protocol, arm, repetition, fingerprints).chain:
                stages.setdefault(stage.key, stage)
    return list(stages.values())


def sources_used(protocol: Protocol) -> dict[str, Data]:
    """The entries of `sources` that arms transfer from."""
    used = {arm.origin.of for arm in protocol.arms if arm.origin.kind == "transfer"}
    return {name: data for name, data in protocol.sources.items() if name in used}


AFTERWARDS = ("__main__.py", "cli", "compare", "explain", "report", "store", "terminal.py")
"""Files and folders of the program that change no run."""
AFTERWARDS_OF_STUDY = ("footprint.py", "preflight.py", "progress.py")


@cache
def code_version() -> dict[str, str]:
    """The program as far as runs depend on it: versions, and a digest of vitrial's sources."""
    package = Path(__file__).parents[1]
    sources = (path.relative_to(package) for path in package.rglob("*.py"))
    deciding = [
        package / path
        for path in sources
        if path.parts[0] not in AFTERWARDS
        and not (path.parts[0] == "study" and path.name in AFTERWARDS_OF_STUDY)
    ]
    return {
        "vitrial": f"{version('vitrial')}+{_digest_of(deciding)}",
        **{name: version(name) for name in ("torch", "torchvision", "timm", "lightly")},
    }


@cache
def explanation_version() -> dict[str, str]:
    """The program as far as explanations of runs depend on it."""
    package = Path(__file__).parents[1]
    sources = list((package / "explain").rglob("*.py"))
    return {**code_version(), "explain": _digest_of(sources), "captum": version("captum")}


def _digest_of(sources: list[Path]) -> str:
    content = b"\0".join(path.read_bytes() for path in sorted(sources))
    return hashlib.sha256(content).hexdigest()[:8]


def _finetune(protocol: Protocol, arm: Arm, repetition: int, fingerprints: dict[str, str]) -> Stage:
    shared = None if protocol.share_pretraining else repetition
    start = None
    if arm.origin.kind == "transfer":
        start = _pretrain(protocol, arm, shared, fingerprints)
    if arm.origin.method is not None:
        start = _selfsupervise(protocol, arm, shared, start, fingerprints)
    return Stage(
        kind="finetune",
        arm=arm,
        repetition=repetition,
        dataset="data",
        recipe=protocol.recipe_of(arm),
        seed=seed_of(protocol.name, protocol.seed, arm.name, repetition, "finetune"),
        start=start,
        inputs=_inputs(protocol, fingerprints["data"])
        | _labeled(protocol, repetition)
        | {"endpoint": protocol.endpoint},
    )


def _pretrain(
    protocol: Protocol, arm: Arm, repetition: int | None, fingerprints: dict[str, str]
) -> Stage:
    # Of the arm only what its pretraining depends on, so that arms share it.
    arm = Arm(backbone=arm.backbone, initialization=str(arm.origin.base))
    graded = ENDPOINTS[protocol.endpoint].needs_order  # a source's classes need no order
    return Stage(
        kind="pretrain",
        arm=arm,
        repetition=repetition,
        dataset=arm.origin.of,
        recipe=protocol.pretrain or protocol.recipe,
        seed=seed_of(protocol.name, protocol.seed, arm.name, *_numbered(repetition), "pretrain"),
        start=None,
        inputs=_inputs(protocol, fingerprints[arm.origin.of])
        | {"endpoint": "balanced_accuracy" if graded else protocol.endpoint},
    )


def _selfsupervise(
    protocol: Protocol,
    arm: Arm,
    repetition: int | None,
    start: Stage | None,
    fingerprints: dict[str, str],
) -> Stage:
    arm = Arm(backbone=arm.backbone, initialization=arm.initialization)
    seed = seed_of(protocol.name, protocol.seed, arm.name, *_numbered(repetition), "selfsupervise")
    return Stage(
        kind="selfsupervise",
        arm=arm,
        repetition=repetition,
        dataset="data",
        recipe=protocol.recipe_of_method(str(arm.origin.method)),
        seed=seed,
        start=start,
        inputs=_inputs(protocol, fingerprints["data"])
        | _labeled(protocol, repetition)
        | {"unlabeled": fingerprints["unlabeled"], "normalize": protocol.recipe.normalize},
    )


def _numbered(repetition: int | None) -> tuple[int, ...]:
    return () if repetition is None else (repetition,)


def _inputs(protocol: Protocol, fingerprint: str) -> dict[str, Any]:
    return {
        "data": fingerprint,
        "channels": protocol.image.channels,
        "augment": protocol.augment.model_dump(mode="json"),
        "code": code_version(),
    }


def _labeled(protocol: Protocol, repetition: int | None) -> dict[str, Any]:
    """The draw of the labels that a stage may use, the same for all arms; empty for all labels."""
    share = protocol.split.labeled
    if share == 1:
        return {}
    # Seeds keep the spelling of version 0.1: another word would draw other labels.
    seed = seed_of(protocol.name, protocol.seed, *_numbered(repetition), "labelled")
    return {"labeled": {"share": share, "seed": seed}}


def content_of(arm: Arm) -> str | None:
    """Digest of the file of weights that an arm starts from, where it lies here already."""
    weights = local_weights(arm)
    return sha256_of(weights) if weights is not None and weights.is_file() else None
