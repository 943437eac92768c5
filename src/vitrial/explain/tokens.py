"""A transformer's tokens: its attention, where the class is read, and how patches lie in an image.

Attention is read where the block computes it, so that only the blocks that are read do without
their fused kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vitrial.errors import VitrialError


@contextmanager
def recorded(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Collect softmax(QK^T / sqrt(d)) of these attention modules while the model runs.

    All others keep their fused kernels; on leaving, these have theirs back.

    Args:
        modules: timm's attention modules, in the order in which the model runs them.

    Yields:
        A list that fills with a (n, heads, queries, tokens) tensor for each module; every row of
        a tensor adds up to 1. With gradients on, each is part of the graph of the logits.
    """
    found: list[Tensor] = []

    def record(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (attention,) = inputs
        if torch.is_grad_enabled() and not attention.requires_grad:
            attention.requires_grad_()  # the first of a frozen model: the graph begins here
        found.append(attention)

    parts: list[Any] = list(modules)
    fused = [part.fused_attn for part in parts]
    hooks = [part.attn_drop.register_forward_pre_hook(record) for part in parts]
    try:
        for part in parts:
            part.fused_attn = False
        yield found
    finally:
        for part, was, hook in zip(parts, fused, hooks, strict=True):
            part.fused_attn = was
            hook.remove()


def self_attention_blocks(model: Any) -> list[nn.Module]:
    """The attention modules of a ViT, in which every token looks at all others.

    Raises:
        VitrialError: The model is no ViT.
    """
    layers = list(getattr(model, "blocks", []))
    blocks = [getattr(block, "attn", None) for block in layers]
    windowed = any(getattr(block, "window_size", 0) for block in layers)  # SAM's
    readable = blocks and all(_is_readable(block) for block in blocks)
    if not readable or windowed or _class_blocks(model):
        raise VitrialError(
            f"{type(model).__name__} has no self-attention over the whole image in every block: "
            "rollout and attribution are for ViTs."
        )
    return blocks  # type: ignore[return-value]


def last_attention(model: Any) -> nn.Module:
    """The last attention module in which the CLS token, or every patch, looks at all patches.

    Raises:
        VitrialError: There is none.
    """
    if blocks := _class_blocks(model):
        return blocks[-1]
    try:
        return self_attention_blocks(model)[-1]
    except VitrialError as error:
        raise VitrialError(
            f"{type(model).__name__} has no attention over the whole image: its CNN-like parts "
            "are explained by gradcam."
        ) from error


def class_tokens(model: Any) -> slice:
    """The output tokens that the class is read from, in equal parts: the rows of attention to read.

    A CLS token says nothing where the head pools the patches by average, as BEiT, EVA and DINOv3
    do in timm. A distilled DeiT reads its CLS and its distillation token.

    Raises:
        VitrialError: The head pools in a way that no rows of attention stand for.
    """
    pool = getattr(model, "global_pool", "token")
    if pool == "token":
        return slice(0, 2 if getattr(model, "head_dist", None) is not None else 1)
    if pool == "avg" and not _class_blocks(model):
        prefix = getattr(model, "num_prefix_tokens", 0)
        return slice(0 if getattr(model, "pool_include_prefix", False) else prefix, None)
    raise VitrialError(
        f"{type(model).__name__} pools its tokens by '{pool}': attention, rollout and attribution "
        "are read where the class is, which is the CLS token or the mean over patches. Explain it "
        "by gradcam."
    )


def on_patches(tokens: Tensor, model: Any, images: Tensor) -> Tensor:
    """Lay tokens out as the patches lie in the image, without CLS and register tokens.

    Args:
        tokens: (..., tokens).
        model: The transformer.
        images: Its input, (n, channels, height, width).

    Returns:
        (..., h, w).

    Raises:
        VitrialError: The tokens are not the image's patches.
    """
    height, width = images.shape[-2:]
    embed: Any = getattr(model, "patch_embed", None)
    h = w = 0
    if hasattr(embed, "dynamic_feat_size"):
        h, w = embed.dynamic_feat_size((height, width))
    elif isinstance(getattr(embed, "patch_size", None), int):
        h, w = height // embed.patch_size, width // embed.patch_size
    prefix = tokens.shape[-1] - h * w
    if not 0 <= prefix <= 16:  # CLS, distillation and register tokens
        raise VitrialError(
            f"The {tokens.shape[-1]} tokens of {type(model).__name__} are not the patches of its "
            "image: they cannot be laid out on it."
        )
    return tokens[..., prefix:].reshape(*tokens.shape[:-1], h, w)


def _class_blocks(model: Any) -> list[nn.Module]:
    """Modules of class attention, in CaiT and XCiT."""
    for name in ("blocks_token_only", "cls_attn_blocks"):
        if blocks := getattr(model, name, None):
            return [block.attn for block in blocks]
    return []


def _is_readable(module: Any) -> bool:
    return all(hasattr(module, name) for name in ("fused_attn", "attn_drop", "qkv"))


def note_on_patches(model: Any) -> str:
    """Where a map of attention is read, if that is not a CLS token; else nothing."""
    if getattr(model, "global_pool", "token") != "avg":
        return ""
    return "The class is read from the mean over all patches, and so are maps of attention."
