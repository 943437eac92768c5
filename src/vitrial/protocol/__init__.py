"""The protocol: the whole experiment, written down before anything is trained.

The models of this package are the reference for every key of a protocol file, one file a section.
Reading a file, with errors that point at its lines, is in `vitrial.protocol.file`.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from vitrial.protocol.arm import Arm
from vitrial.protocol.checks import MOST_ARMS, find_clashes
from vitrial.protocol.comparison import MOST_COMPARISONS, RegisteredComparison
from vitrial.protocol.data import Data, DataSection
from vitrial.protocol.recipe import Plateau, Recipe
from vitrial.protocol.section import (
    AbsolutePath,
    EndpointName,
    Fraction,
    Section,
    Seed,
    Share,
    TrackerName,
)
from vitrial.protocol.selfsupervision import (
    LocalViews,
    SelfSupervision,
    View,
    sections_of_methods,
)
from vitrial.protocol.views import Augment, Image, Jitter, Split
from vitrial.protocol.yaml_lines import dotted

__all__ = [
    "Arm",
    "Augment",
    "Data",
    "DataSection",
    "EndpointName",
    "Image",
    "Jitter",
    "LocalViews",
    "Plateau",
    "Protocol",
    "Recipe",
    "RegisteredComparison",
    "Section",
    "SelfSupervision",
    "Split",
    "View",
    "digest",
]


if TYPE_CHECKING:
    Methods = Section
else:
    Methods = sections_of_methods()


class Protocol(Methods):
    """The whole experiment.

    Besides the keys below it has a section for each method of self-supervision, such as `dino` and
    `byol`: how `+dino` and `+byol` train.

    Attributes:
        name: Names the study; part of every seed.
        description: What the trial asks, and what to expect of it.
        data: The data set.
        split: How it is divided.
        image: How images are prepared.
        augment: Random views in training.
        arms: What is compared. In a file, an arm's `backbone` and `initialization` may be lists,
            which stand for all their combinations.
        recipe: How every arm is trained.
        sources: Other labeled data sets, by name, for `transfer:NAME`.
        pretrain: Recipe of the pretraining on `sources`; `recipe` if left out. Its validation
            selects by the endpoint too, or, where that needs ordered classes, by balanced
            accuracy: those of a source need no order.
        unlabeled: A folder or .zip of further images of the domain, for self-supervision.
        share_pretraining: Pretrain once for all repetitions of an arm; false pretrains for each, so
            that the spread of the results includes that of pretraining.
        endpoint: The primary metric, by which validation selects and the table reports.
            `quadratic_kappa` is for ordered classes; of `log_loss` and `brier` lower is better.
        margin: Smallest difference of the endpoint that matters.
        comparisons: What the trial claims of which arms, registered before anything is trained. If
            left out, the paper's claims for the arms at hand
            (`vitrial.protocol.comparison.default_comparisons`).
        fractions: Parts of the training images that every arm is trained on, rising to 1, for
            learning curves over data size. A larger part holds the smaller ones; groups stay whole
            and every class keeps its share. Table and verdict are of all training images.
        repetitions: Runs of an arm, each with a seed of its own.
        seed: Another seed repeats the whole study otherwise.
        trackers: Who is told how each stage trains, besides the report: `tensorboard`, `mlflow`,
            `wandb`. No part of what is registered: it changes no bit.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    data: Data
    split: Split = Split()
    image: Image = Image()
    augment: Augment = Augment()
    arms: list[Arm] = Field(min_length=1, max_length=MOST_ARMS)
    recipe: Recipe = Recipe()
    sources: dict[str, Data] = Field(default_factory=dict)
    pretrain: Recipe | None = None
    unlabeled: AbsolutePath | None = None
    share_pretraining: bool = True
    endpoint: EndpointName
    margin: Fraction = 0.02
    comparisons: list[RegisteredComparison] | None = Field(None, max_length=MOST_COMPARISONS)
    fractions: list[Share] = Field([1.0], min_length=1, max_length=20)
    repetitions: int = Field(5, ge=1, le=1000)
    seed: Seed = 0
    trackers: list[TrackerName] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        clashes = find_clashes(self)
        if clashes:
            # All at once; the reader of protocol files takes them, with their keys, from here.
            message = "\n".join(f"{dotted(clash.keys[0])}: {clash.sentence}" for clash in clashes)
            raise PydanticCustomError(
                "clashes", "{message}", {"message": message, "clashes": clashes}
            )
        return self

    def recipe_of(self, arm: Arm) -> Recipe:
        """The recipe with what the arm states in its place."""
        return Recipe.model_validate(_merged(self.recipe.model_dump(), arm.changes))

    def recipe_of_method(self, method: str) -> SelfSupervision:
        """How a method of self-supervision trains, by its name."""
        recipe: SelfSupervision = getattr(self, method)
        return recipe

    def hash(self) -> str:
        """12 hexadecimal digits that change with anything in the protocol that is registered."""
        return digest(self.registered())

    def registered(self) -> dict[str, Any]:
        """What is registered, as JSON has it: all but who looks on."""
        return self.model_dump(mode="json", exclude={"trackers"})


def _merged(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A group of keys with others in their place; groups within it are merged likewise."""
    nested = {
        key: _merged(content[key], value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return content | nested


def digest(content: Any) -> str:
    """12 hexadecimal digits of a JSON-able content's SHA-256; the order of keys is irrelevant."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
