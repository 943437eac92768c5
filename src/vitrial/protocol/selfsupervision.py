"""How a model is trained without labels: what all methods have in common.

The recipe of a method lies beside its network, in a folder of
`vitrial.train.selfsupervised.methods` that is called like it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, create_model, field_validator, model_validator

from vitrial.protocol.section import (
    LARGEST_BATCH,
    SMALLEST,
    Decay,
    Epochs,
    Fraction,
    Positive,
    PositivePair,
    Rate,
    Section,
)
from vitrial.protocol.views import Jitter
from vitrial.registry import Registry

RECIPES = Registry("vitrial.train.selfsupervised.methods", ("RECIPE",), file="recipe")
"""The methods by name: `+name` of an arm's initialization, and the section of its recipe."""

DecayPair = Annotated[tuple[Decay, Decay], Strict(False)]


class View(Section):
    """One random view of an image; its aspect ratio is that of `augment`.

    Attributes:
        scale: Range of the crop's share of the image area.
        blur: Probability of a Gaussian blur.
        solarize: Probability that values from 0.5 on are inverted.
    """

    scale: PositivePair = (0.4, 1.0)
    blur: Fraction = 0.5
    solarize: Fraction = 0.0

    @field_validator("scale")
    @classmethod
    def _possible(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not scale[0] <= scale[1] <= 1:
            raise ValueError(f"must rise to 1 at most, unlike {scale[0]:g} to {scale[1]:g}")
        return scale


class LocalViews(View):
    """The small views of an image, which only the student sees.

    Attributes:
        count: How many of an image, 0 for none.
        size: Side in pixels that a crop is resized to.
    """

    scale: PositivePair = (0.05, 0.4)
    count: int = Field(8, ge=0, le=16)
    size: int = Field(96, ge=SMALLEST, le=2048)


TwoViews = Annotated[tuple[View, View], Strict(False)]


class SelfSupervision(Section):
    """What all methods have in common: the base of their recipes.

    Attributes:
        epochs: Passes over the training images.
        optimizer: `adamw`, or `adam`, with which DINO is known to stall.
        base_lr: Learning rate for batches of 256: the rate is base_lr x batch_size / 256.
        final_lr: Where the rate's cosine ends.
        warmup_epochs: Epochs over which the rate grows linearly.
        weight_decay: At the start and, by a cosine, at the end; on weights only.
        clip_norm: Largest norm of the gradient, null for no clipping.
        drop_path: Stochastic depth in the student.
        momentum: Of the teacher at the start; it grows to 1 by a cosine.
        jitter: Color jitter, null for none.
        hflip: Probability that a view is flipped horizontally, null for that of `augment`.
        vflip: Likewise vertically. DINO's and BYOL's authors, and Matsoukas et al., flip their
            views horizontally alone (0); where images have no upper side, as of skin or tissue,
            `augment` usually flips both ways, and by default the views do, too.
        grayscale: Probability that a view loses its colors.
        sigma: Range of the blur's standard deviation in pixels.
        knn_every: Epochs between looks at the validation images' nearest neighbors.
        precision: `bf16` autocast, on a device that has instructions for it, or `fp32`.
    """

    epochs: int = Field(100, ge=1, le=100_000)
    batch_size: int = Field(64, ge=2, le=LARGEST_BATCH)
    optimizer: Literal["adamw", "adam"] = "adamw"
    base_lr: Rate = 5e-4
    final_lr: Rate = 1e-6
    warmup_epochs: Epochs = 10
    weight_decay: DecayPair = (0.04, 0.4)
    clip_norm: Positive | None = 3.0
    drop_path: float = Field(0.1, ge=0, lt=1)
    momentum: Fraction = 0.996
    jitter: Jitter | None = Jitter(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
    hflip: Fraction | None = None
    vflip: Fraction | None = None
    grayscale: Fraction = 0.2
    sigma: PositivePair = (0.1, 2.0)
    knn_every: int = Field(5, ge=1, le=100_000)
    precision: Literal["bf16", "fp32"] = "bf16"

    @field_validator("sigma")
    @classmethod
    def _ascending(cls, sigma: tuple[float, float]) -> tuple[float, float]:
        if sigma[0] > sigma[1]:
            raise ValueError(f"the lower bound {sigma[0]:g} exceeds the upper {sigma[1]:g}")
        return sigma

    @model_validator(mode="after")
    def _rate_grows_and_falls(self) -> Self:
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} exceed epochs {self.epochs}")
        if self.final_lr > self.lr:
            raise ValueError(
                f"final_lr {self.final_lr:g} exceeds the rate base_lr x batch_size / 256 = "
                f"{self.lr:g}"
            )
        return self

    @property
    def lr(self) -> float:
        """The learning rate after warm-up, for this batch size."""
        return self.base_lr * self.batch_size / 256

    @property
    def small_views(self) -> tuple[tuple[str, ...], int] | None:
        """The key of the small views' side, and the side in pixels; None without such views."""
        return None

    @classmethod
    def in_proportion(cls, crop: int) -> dict[str, Any]:
        """What changes with the side of the large views, where no more than that is known."""
        return {}


def method_of(recipe: SelfSupervision) -> str:
    """The name of the method that a recipe is of."""
    return next(name for name, entry in RECIPES.entries().items() if entry.RECIPE is type(recipe))


def sections_of_methods() -> type[Section]:
    """A base of the protocol: a section for each method, called like it."""
    fields: dict[str, Any] = {
        name: (module.RECIPE, module.RECIPE()) for name, module in RECIPES.entries().items()
    }
    return create_model("Methods", __base__=Section, **fields)
