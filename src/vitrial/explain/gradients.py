"""What methods that follow gradients share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def gradient_of(logits: Tensor, target: Tensor | None, inputs: list[Tensor]) -> list[Tensor]:
    """The gradient of each image's class logit with regard to tensors that it depends on.

    Args:
        logits: (n, classes).
        target: (n,) the class; the largest logit's if left out.
        inputs: Tensors of which the first dimension is the images'.
    """
    target = logits.argmax(dim=1) if target is None else target
    chosen = logits.gather(1, target.to(logits.device)[:, None]).sum()
    return list(torch.autograd.grad(chosen, inputs))


def answer(model: nn.Module, images: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor]:
    """The logits (n, classes), and the class to explain (n,): the predicted one if left out."""
    with torch.no_grad():
        logits = model(images)
    return logits, (logits.argmax(dim=1) if target is None else target)
