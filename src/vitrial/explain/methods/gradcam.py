"""Grad-CAM: where the last stage's features speak for a class (Selvaraju et al. 2017)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from vitrial.errors import VitrialError
from vitrial.explain.gradients import gradient_of
from vitrial.explain.tokens import on_patches

LABEL = "Grad-CAM"
SUMMARY = "Where the features of the last stage raise the logit of the class."
FAMILIES = frozenset(("cnn", "transformer", "hybrid", "other"))
VERSION = 1
ORDER = 10


def maps(model: Any, images: Tensor, target: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Features weighted by the mean gradient of the class's logit (equations 1 and 2).

    Of a CNN, or any model whose features keep a height and a width, these are the features before
    pooling. Of a transformer they are the tokens as the last block's first layer normalization
    gives them: behind it, only the CLS token reaches the logits.

    Args:
        model: timm's, in evaluation mode, its parameters frozen.
        images: Normalized (n, channels, height, width).
        target: (n,) the class to explain; the predicted one if left out.

    Returns:
        (n, h, w), nonnegative, and the logits.

    Raises:
        VitrialError: The model has neither.
    """
    with torch.no_grad():
        features = model.forward_features(images)
    if isinstance(features, Tensor) and features.ndim == 4:
        features = features.detach().requires_grad_()
        with torch.enable_grad():
            logits = model.forward_head(features)
            gradient = gradient_of(logits, target, [features])[0]
        if getattr(model, "output_fmt", "NCHW") == "NHWC":
            features, gradient = features.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
        return _weighted(features.detach(), gradient), logits.detach()
    return _of_tokens(model, images, target)


def _of_tokens(model: Any, images: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor]:
    layer = _last_norm(model)
    kept: list[Tensor] = []

    def record(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())  # the graph begins here
        return kept[0]

    hook = layer.register_forward_hook(record)
    try:
        with torch.enable_grad():
            logits = model(images)
            gradient = gradient_of(logits, target, kept)[0]
    finally:
        hook.remove()
    tokens, gradient = kept[0].detach().transpose(1, 2), gradient.transpose(1, 2)
    tokens, gradient = (on_patches(x, model, images) for x in (tokens, gradient))
    return _weighted(tokens, gradient), logits.detach()


def _weighted(features: Tensor, gradient: Tensor) -> Tensor:
    """(n, h, w) of (n, channels, h, w): the positive part of the weighted sum of channels."""
    weights = gradient.float().mean(dim=(2, 3), keepdim=True)
    return (weights * features.float()).sum(dim=1).clamp_min(0)


def _last_norm(model: Any) -> nn.Module:
    with suppress(AttributeError, IndexError, TypeError):
        layer = model.blocks[-1].norm1
        if isinstance(layer, nn.Module) and hasattr(model, "patch_embed"):
            return layer
    raise VitrialError(
        f"Grad-CAM knows no last stage of {type(model).__name__}: its features are neither a map "
        "nor the tokens of patches."
    )
