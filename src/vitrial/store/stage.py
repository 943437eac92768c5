"""What a stage is, who carried it out and what it gave: the records in its folder, with types."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import SerializeAsAny, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

from vitrial.protocol import Arm, Augment, EndpointName, Image, Recipe, SelfSupervision, digest
from vitrial.protocol.selfsupervision import RECIPES

Kind = Literal["pretrain", "selfsupervise", "finetune", "tune"]
Channels = tuple[float, ...]


def _by_method(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """Read a recipe as one of the arm's method, where the stage is one of self-supervision."""
    if info.data.get("kind") != "selfsupervise" or not isinstance(value, dict):
        return handler(value)
    method = info.data["arm"].origin.method
    if method is None:  # as an older program wrote it
        entries = RECIPES.entries().items()
        method = next(n for n, entry in entries if set(value) <= set(entry.RECIPE.model_fields))
    return RECIPES.entry(method).RECIPE.model_validate(value)


StageRecipe = Annotated[SerializeAsAny[Recipe | SelfSupervision], WrapValidator(_by_method)]
"""How a stage optimizes."""


@dataclass(frozen=True)
class Draw:
    """Which of the training images, or of their labels, a stage may use.

    Attributes:
        share: Of the training images.
        seed: Decides which.
    """

    share: float
    seed: int


@dataclass(frozen=True)
class Stage:
    """One training: all that decides its bits, and so all that is needed to carry it out.

    `pretrain` is supervised, on a source; `selfsupervise` needs no labels; `finetune` makes a run;
    `tune` tries a rate. Runs share the first two.

    Attributes:
        kind: What it is.
        arm: Backbone and initialization.
        repetition: From 1; None for what all repetitions share.
        dataset: `data`, or the entry of `sources`; empty for `images`.
        recipe: How to optimize.
        seed: Decides every random draw.
        versions: Of its kind and of the data's preparation: see `vitrial.study.versions`.
        image: How images are prepared.
        augment: Random views.
        data: Fingerprint of the data set; None for `images`.
        start: The folder of the stage whose weights it starts from, below the study's.
        weights: SHA-256 of the arm's own file of weights, if it starts from one.
        endpoint: What validation selects by; None without labels.
        fraction: The draw of the training images; None for all of them.
        labeled: The draw of the labels; None for all labels.
        unlabeled: Fingerprint of what self-supervision sees.
        normalize: Whose statistics self-supervision normalizes by.
        images: A folder or .zip without labels that is all that it learns from.
    """

    kind: Kind
    arm: Arm
    repetition: int | None
    dataset: str
    recipe: StageRecipe
    seed: int
    versions: tuple[int, int]
    image: Image
    augment: Augment
    data: str | None
    start: str | None = None
    weights: str | None = None
    endpoint: EndpointName | None = None
    fraction: Draw | None = None
    labeled: Draw | None = None
    unlabeled: str | None = None
    normalize: Literal["data", "backbone"] = "data"
    images: Path | None = None

    @cached_property
    def key(self) -> str:
        """Digest of all that decides the stage's result, the same on every machine."""
        return digest(
            {
                "kind": self.kind,
                "backbone": self.arm.model,
                "initialization": str(self.arm.origin),
                "weights": self.weights,
                "recipe": self.recipe.model_dump(mode="json"),
                "seed": self.seed,
                "versions": self.versions,
                "channels": self.image.channels,
                "augment": self.augment.model_dump(mode="json"),
                "data": self.data,
                "start": self.start and key_of(self.start),
                "endpoint": self.endpoint,
                "fraction": self.fraction and [self.fraction.share, self.fraction.seed],
                "labeled": self.labeled and [self.labeled.share, self.labeled.seed],
                "unlabeled": self.unlabeled,
                "normalize": self.normalize,
            }
        )

    @property
    def name(self) -> str:
        """What a person calls it."""
        ending = "" if self.repetition is None else f", repetition {self.repetition}"
        if self.fraction is not None:
            ending += f", {self.fraction.share:.0%} of the training images"
        if self.kind == "pretrain":
            return f"{self.arm.backbone} / pretraining on {self.dataset}{ending}"
        if self.kind == "selfsupervise":
            return f"{self.arm.name}, self-supervision{ending}"
        if self.kind == "tune":
            return f"{self.arm.name}, base rate {self.recipe.base_lr:g}"
        return f"{self.arm.name}{ending}"

    @property
    def folder(self) -> str:
        """Its folder below the study's, unique to its key; where it stands alone, the study's."""
        if self.images is not None:
            return "."
        slug = self.arm.id or f"{self.arm.backbone}-{self.arm.origin}".replace(":", "-")
        slug += "" if self.repetition is None else f"-{self.repetition}"
        slug += "" if self.fraction is None else f"-{self.fraction.share:g}"
        if self.kind in ("pretrain", "selfsupervise"):
            return f"pretrained/{slug}-{self.key}"
        if self.kind == "tune":
            return f"tuning/{slug}-{self.recipe.base_lr:g}-{self.key}"
        return f"runs/{slug}-{self.key}"


def key_of(folder: str) -> str:
    """The key in which the name of a stage's folder ends."""
    return folder.rpartition("-")[2]


@dataclass(frozen=True)
class Machine:
    """What a stage's bits may depend on besides its key.

    Attributes:
        device: The GPU's name, or `cpu`; after `4 x` where so many trained it together.
        precision: As lightning-fabric names it: what was computed in, which is not always what the
            recipe asked for.
        threads: Of PyTorch on the CPU.
        cpu: Its kind.
    """

    device: str
    precision: str
    threads: int
    cpu: str


@dataclass(frozen=True)
class Attempt:
    """Who was at work on a stage.

    Attributes:
        machine: Where.
        program: Versions by name: see `vitrial.store.program`.
    """

    machine: Machine
    program: dict[str, str]


@dataclass(frozen=True)
class Attempts:
    """All that were at work on a stage, each once, in order; a later one goes on from a former."""

    attempts: tuple[Attempt, ...]


@dataclass(frozen=True)
class Weights:
    """The file of weights that a stage started from.

    Attributes:
        tag: In timm, as it was resolved; None for a file of the user's.
        file: Its name.
        sha256: Of its content.
    """

    tag: str | None
    file: str
    sha256: str


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of each channel, in [0, 1], by which input is normalized."""

    mean: Channels
    std: Channels


@dataclass(frozen=True)
class Result:
    """What a stage gave, besides its weights and predictions.

    Attributes:
        epochs: How many it trained.
        history: The metrics of each epoch.
        training_seconds: Of all epochs, validation included.
        images_per_second: In training, without validation.
        classes: Class names, by class index; none without labels.
        normalization: Of the model's input.
        weights: The file that it started from; None from random weights or another stage.
        parameters: How many the model has.
        best_epoch: Whose weights were kept; None where those of the last epoch were.
        best_score: The endpoint on validation at that epoch.
        evaluation_seconds: Of the predictions.
        images: How many training images it saw; None of version 0.1.
        knn_before: Balanced accuracy of nearest neighbors on validation, of the weights that
            self-supervision started from.
        knn: Likewise, of those that it gave.
    """

    epochs: int
    history: list[dict[str, Any]]
    training_seconds: float
    images_per_second: float
    classes: tuple[str, ...]
    normalization: Normalization
    weights: Weights | None = None
    parameters: int | None = None
    best_epoch: int | None = None
    best_score: float | None = None
    evaluation_seconds: float | None = None
    images: int | None = None
    knn_before: float | None = None
    knn: float | None = None
