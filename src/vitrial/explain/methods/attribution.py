"""Class-specific attribution for transformers (Chefer, Gur and Wolf, ICCV 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitrial.explain.gradients import gradient_of
from vitrial.explain.tokens import (
    class_tokens,
    note_on_patches,
    on_patches,
    recorded,
    self_attention_blocks,
)

LABEL = "Chefer attention attribution"
SUMMARY = "Attention of all blocks that raises the logit of the class."
FAMILIES = frozenset(("transformer", "hybrid"))
VERSION = 1
ORDER = 40
note = note_on_patches


def maps(model: nn.Module, images: Tensor, target: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Attention that speaks for a class, carried through all blocks.

    This is the authors' second method of that year ("Generic attention-model explainability"),
    which weights attention by its gradient alone; it needs no relevance propagated through every
    other layer, and in their table 3 it does no worse.

    Args:
        model: A ViT of timm's, in evaluation mode, its parameters frozen.
        images: Normalized (n, channels, height, width).
        target: (n,) the class to explain; the predicted one if left out.

    Returns:
        (n, h, w), nonnegative, and the logits.

    Raises:
        VitrialError: The model is no ViT, or pools its tokens otherwise.
    """
    blocks, read = self_attention_blocks(model), class_tokens(model)
    with torch.enable_grad(), recorded(blocks) as attention:
        logits = model(images)
        gradients = gradient_of(logits, target, attention)
    relevance = carried([block.detach() for block in attention], gradients)
    return on_patches(relevance[:, read].mean(dim=1), model, images), logits.detach()


def carried(attention: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Relevance of each input token to each output token (equations 5 and 6), less the identity.

    The equations begin with the identity, each token's relevance to itself before any attention.
    It never reaches a CLS token's map, but where the class is read from the patches it would lie
    on all of them alike and, gradients being small, drown what attention says.

    Args:
        attention: From the first block to the last, each (n, heads, tokens, tokens).
        gradients: Of the class's logit with regard to these.

    Returns:
        (n, tokens, tokens), nonnegative.
    """
    n, _, tokens, _ = attention[0].shape
    relevance = torch.zeros(n, tokens, tokens, device=attention[0].device)
    for block, gradient in zip(attention, gradients, strict=True):
        towards = (gradient.float() * block.float()).clamp_min(0).mean(dim=1)
        relevance = relevance + towards + towards @ relevance  # of (1 + towards) (1 + relevance)
    return relevance
