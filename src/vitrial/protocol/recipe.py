"""How a model is trained with labels."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from vitrial.protocol.section import LARGEST_BATCH, Decay, Positive, Rate, Section


class Plateau(Section):
    """The learning rate drops by `factor` each time the validation endpoint saturates.

    Attributes:
        factor: What the rate is multiplied by.
        patience: Epochs in a row without improvement that count as saturation: with 1, the first
            epoch that is no better than the best so far.
        final_lr: Training ends when the endpoint saturates at this rate.
    """

    factor: float = Field(0.1, gt=0, lt=1)
    patience: int = Field(10, ge=1, le=100_000)
    final_lr: Rate = 1e-6


class Recipe(Section):
    """How a run is optimized.

    Attributes:
        optimizer: `adam` (weight decay added to the gradient, as the paper) or `adamw`.
        base_lr: Learning rate after warm-up.
        accumulate: Parts that a batch is computed in, one after the other, where it exceeds the
            memory of the device. The step is of the whole batch all the same; but batch
            normalization sees a part at a time.
        weight_decay: On weights only: biases and normalization parameters are left alone.
        clip_norm: Largest norm of the gradient, null for no clipping.
        warmup_steps: Optimizer steps over which the rate grows linearly to `base_lr`.
        epochs: Training ends here at the latest.
        precision: `bf16` autocast, on a device that has instructions for it, or `fp32`.
        compile: Use torch.compile.
        class_weights: `balanced` weighs the loss by inverse class frequency.
        sampling: `balanced` draws every class equally often.
        normalize: Mean and standard deviation of the training split (`data`, as the paper) or of
            the backbone's pretraining (`backbone`).
    """

    optimizer: Literal["adam", "adamw"] = "adam"
    base_lr: Rate = 1e-4
    batch_size: int = Field(64, ge=1, le=LARGEST_BATCH)
    accumulate: int = Field(1, ge=1, le=LARGEST_BATCH)
    weight_decay: Decay = 1e-5
    clip_norm: Positive | None = 1.0
    warmup_steps: int = Field(1000, ge=0, le=10_000_000)
    plateau: Plateau = Plateau()
    epochs: int = Field(200, ge=1, le=100_000)
    precision: Literal["bf16", "fp32"] = "bf16"
    compile: bool = False
    class_weights: Literal["none", "balanced"] = "none"
    sampling: Literal["shuffle", "balanced"] = "shuffle"
    normalize: Literal["data", "backbone"] = "data"

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is new and left as it was, so that the keys of stages stay the same."""
        content: dict[str, Any] = handler(self)
        if self.accumulate == 1:
            content.pop("accumulate", None)
        return content
