"""Class-specific attribution for transformers (Chefer, Gur and Wolf, ICCV 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitrial.explanation.attention import on_patches, recorded, self_attention_blocks, summary_row
from vitrial.explanation.gradcam import gradient_of


def attribution(
    model: nn.Module, images: Tensor, target: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Attention that speaks for a class, carried through all blocks.

    This is the authors' second method of that year ("Generic attention-model explainability"),
    which weights attention by its gradient alone; it needs no relevance propagated through every
    other layer, and in their table 3 it does no worse.

    Args:
        model: A ViT of timm's, in evaluation mode, its parameters frozen.
        images: Normalised (n, channels, height, width).
        target: (n,) the class to explain; the predicted one if left out.

    Returns:
        (n, h, w), nonnegative, and the logits.

    Raises:
        VitrialError: The model is no ViT.
    """
    with torch.enable_grad(), recorded(self_attention_blocks(model)) as attention:
        logits = model(images)
        gradients = gradient_of(logits, target, attention)
    relevance = carried([block.detach() for block in attention], gradients)
    return on_patches(summary_row(model, relevance), model, images), logits.detach()


def carried(attention: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Relevance of each input token to each output token (equations 5 and 6).

    Args:
        attention: From the first block to the last, each (n, heads, tokens, tokens).
        gradients: Of the class's logit with regard to these.

    Returns:
        (n, tokens, tokens), nonnegative.
    """
    n, _, tokens, _ = attention[0].shape
    relevance = torch.eye(tokens, device=attention[0].device).repeat(n, 1, 1)
    for block, gradient in zip(attention, gradients, strict=True):
        towards = (gradient.float() * block.float()).clamp_min(0).mean(dim=1)
        relevance = relevance + towards @ relevance
    return relevance
