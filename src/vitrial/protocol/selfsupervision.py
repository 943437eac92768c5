"""How a model is trained without labels: DINO and BYOL."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

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
    Width,
)
from vitrial.protocol.views import Jitter

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
    """What DINO and BYOL have in common.

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


class Dino(SelfSupervision):
    """DINO (Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", 2021).

    Attributes:
        global_views: Two large views of `augment.crop` pixels, for teacher and student.
        local_views: Small ones, for the student.
        hidden_dim: Width of the head's two hidden layers.
        bottleneck_dim: Width before the last layer.
        output_dim: Of the head: 4,096 as Matsoukas et al.; 65,536 as the DINO paper.
        student_temperature: Of the student's softmax.
        teacher_temperature: Of the teacher's softmax at the start and after its warm-up.
        teacher_warmup_epochs: Epochs over which the teacher's temperature grows linearly.
        center_momentum: Of the moving average that is taken off the teacher's outputs.
        freeze_last_layer: Epochs in which the head's last layer is left as it is.
    """

    global_views: TwoViews = (View(blur=1.0), View(blur=0.1, solarize=0.2))
    local_views: LocalViews = LocalViews()
    hidden_dim: Width = 2048
    bottleneck_dim: Width = 256
    output_dim: int = Field(4096, ge=2, le=1_000_000)
    student_temperature: Positive = 0.1
    teacher_temperature: PositivePair = (0.04, 0.07)
    teacher_warmup_epochs: Epochs = 30
    center_momentum: Fraction = 0.9
    freeze_last_layer: Epochs = 1


class Byol(SelfSupervision):
    """BYOL (Grill et al., "Bootstrap Your Own Latent", 2020).

    Attributes:
        views: The two views that predict each other, as in the paper's appendix B.
        hidden_dim: Width of the hidden layer of projector and predictor.
        output_dim: Of both.
    """

    momentum: Fraction = 0.99
    weight_decay: DecayPair = (0.04, 0.04)
    drop_path: float = Field(0.0, ge=0, lt=1)
    views: TwoViews = (
        View(scale=(0.08, 1.0), blur=1.0),
        View(scale=(0.08, 1.0), blur=0.1, solarize=0.2),
    )
    hidden_dim: Width = 4096
    output_dim: Width = 256
