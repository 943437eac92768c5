"""Gradients from the mean color to the image, by captum (Sundararajan et al. 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from vitrial.explain.gradients import answer

LABEL = "integrated gradients"
SUMMARY = "How much of the logit of the class each pixel accounts for, from the mean color on."
FAMILIES = frozenset(("cnn", "transformer", "hybrid", "other"))
VERSION = 1
ORDER = 60
ANY_MODEL = True
STEPS = 16
"""Points at which gradients are taken, on Gauss and Legendre's places."""


def maps(model: nn.Module, images: Tensor, target: Tensor | None = None) -> tuple[Tensor, Tensor]:
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

    logits, target = answer(model, images, target)
    pixels = images.detach().clone().requires_grad_()
    parts: Tensor = IntegratedGradients(model).attribute(
        pixels, target=target, n_steps=STEPS, internal_batch_size=len(images)
    )
    return parts.detach().sum(dim=1).abs().float(), logits
