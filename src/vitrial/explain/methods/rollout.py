"""Attention carried through all blocks (Abnar and Zuidema 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitrial.explain.tokens import (
    class_tokens,
    note_on_patches,
    on_patches,
    recorded,
    self_attention_blocks,
)

LABEL = "attention rollout"
SUMMARY = "How much of each patch reaches the class through the attention of all blocks."
FAMILIES = frozenset(("transformer", "hybrid"))
VERSION = 1
ORDER = 30
note = note_on_patches


def maps(model: nn.Module, images: Tensor, target: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Attention through all blocks (Abnar and Zuidema 2020, sec. 3).

    Args:
        model: A ViT of timm's, in evaluation mode.
        images: Normalized (n, channels, height, width).
        target: Of no consequence: attention knows no classes.

    Returns:
        (n, h, w) and the logits.

    Raises:
        VitrialError: The model is no ViT, or pools its tokens otherwise.
    """
    blocks, read = self_attention_blocks(model), class_tokens(model)
    with torch.no_grad(), recorded(blocks) as attention:
        logits = model(images)
    through = rolled_out([block.mean(dim=1) for block in attention])
    return on_patches(through[:, read].mean(dim=1), model, images), logits


def rolled_out(attention: Sequence[Tensor]) -> Tensor:
    """The product of the blocks' attention, half of each being the residual path.

    Args:
        attention: From the first block to the last, each (n, tokens, tokens) with rows that add
            up to 1.

    Returns:
        (n, tokens, tokens): how much of each input token is in each output token.
    """
    identity = torch.eye(attention[0].shape[-1], device=attention[0].device)
    through = identity.expand_as(attention[0])
    for block in attention:
        through = (0.5 * block.float() + 0.5 * identity) @ through
    return through
