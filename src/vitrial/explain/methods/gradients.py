"""Gradients with regard to pixels, by captum: the baselines that fit any model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STEPS = 16
"""Points at which integrated gradients are taken, on Gauss and Legendre's places."""


def input_gradient(
    model: nn.Module, images: Tensor, target: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The largest absolute gradient over a pixel's channels (Simonyan et al. 2014, sec. 3.1).

    Args:
        model: In evaluation mode, its parameters frozen.
        images: Normalized (n, channels, height, width).
        target: (n,) the class to explain; the predicted one if left out.

    Returns:
        (n, height, width), nonnegative, and the logits.
    """
    from captum.attr import Saliency

    logits, target = _answer(model, images, target)
    pixels = images.detach().clone().requires_grad_()
    gradient: Tensor = Saliency(model).attribute(pixels, target=target, abs=True)
    return gradient.detach().amax(dim=1), logits


def integrated_gradients(
    model: nn.Module, images: Tensor, target: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Gradients along the way from the mean color to the image (Sundararajan et al. 2017, eq. 1).

    The mean color is what normalization turns to zero. A pixel's channels are summed, and its sign
    is dropped.

    Args:
        model: In evaluation mode, its parameters frozen.
        images: Normalized (n, channels, height, width).
        target: (n,) the class to explain; the predicted one if left out.

    Returns:
        (n, height, width), nonnegative, and the logits.
    """
    from captum.attr import IntegratedGradients

    logits, target = _answer(model, images, target)
    pixels = images.detach().clone().requires_grad_()
    parts: Tensor = IntegratedGradients(model).attribute(
        pixels, target=target, n_steps=STEPS, internal_batch_size=len(images)
    )
    return parts.detach().sum(dim=1).abs().float(), logits


def _answer(model: nn.Module, images: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        logits = model(images)
    return logits, (logits.argmax(dim=1) if target is None else target)
