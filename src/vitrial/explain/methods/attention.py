"""What a transformer attends to in its last block (DINO: Caron et al. 2021, figure 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vitrial.explain.tokens import (
    class_tokens,
    last_attention,
    note_on_patches,
    on_patches,
    recorded,
)

LABEL = "attention"
SUMMARY = "How much of the last block's attention each patch receives where the class is read."
FAMILIES = frozenset(("transformer", "hybrid"))
VERSION = 1
ORDER = 20
note = note_on_patches


def maps(model: nn.Module, images: Tensor, target: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What the class is read from looks at in the last block (DINO, Caron et al. 2021, fig. 1).

    Args:
        model: A ViT of timm's, or a model with class attention, in evaluation mode.
        images: Normalized (n, channels, height, width).
        target: Of no consequence: attention knows no classes.

    Returns:
        (n, heads, h, w): the share of the attention that each patch receives, and the logits. The
        rest of the attention, to CLS and register tokens, is left out.

    Raises:
        VitrialError: The model has no attention over the whole image, or pools it otherwise.
    """
    layer, read = last_attention(model), class_tokens(model)
    with torch.no_grad(), recorded([layer]) as attention:
        logits = model(images)
    return on_patches(attention[0][..., read, :].mean(dim=-2), model, images), logits
