"""Whether a model is a CNN, a transformer, or both: a fact of its architecture."""

from __future__ import annotations

from functools import cache
from typing import Literal

import timm
import torch
from torch import nn

Family = Literal["cnn", "transformer", "hybrid", "other"]

TRANSFORMERS = (
    *("davit", "gcvit", "hiera", "hieradet_sam2", "mvitv2", "nest", "pit", "pvt_v2", "tnt"),
    *("twins", "vision_transformer_sam", "volo", "xcit"),
)
"""timm's modules of transformers that convolve to embed patches, encode positions or pool tokens,
and are transformers by their authors' account."""
HYBRIDS = ("efficientvit_mit", "iformer", "shvit", "swiftformer", "vision_transformer_hybrid")
"""timm's modules of hybrids whose attention is linear or has a single head, or whose convolutions
lie in the stem."""
OTHERS = ("efficientvim",)
"""timm's modules of what convolves, but rests on something else (state spaces)."""


def family(model: nn.Module) -> Family:
    """The family of a model.

    Hierarchical transformers (Swin) are transformers, whichever way they are explained. What is
    not listed here is judged by its parts: self-attention with heads makes a transformer,
    convolutions of overlapping windows a CNN (those that cut an image into patches do not
    overlap), both a hybrid. Attention that only pools, or that weights channels
    (squeeze-and-excitation), counts for nothing.

    Args:
        model: timm's, or any other.

    Returns:
        `other` for what has neither, such as an MLP-Mixer.
    """
    module = type(model).__module__.rpartition(".")[2]
    if module in TRANSFORMERS:
        return "transformer"
    if module in HYBRIDS:
        return "hybrid"
    if module in OTHERS:
        return "other"
    attends, convolves = _attends(model), _convolves(model)
    if attends:
        return "hybrid" if convolves else "transformer"
    return "cnn" if convolves else "other"


def _attends(model: nn.Module) -> bool:
    for name, part in model.named_modules():
        kind = type(part).__name__
        heads = hasattr(part, "num_heads") or hasattr(part, "heads")
        pools = part is model or "pool" in f"{name} {kind}".lower()
        if (heads or kind.endswith("SelfAttention")) and not pools:
            return True
    return False


def _convolves(model: nn.Module) -> bool:
    convolutions = (part for part in model.modules() if isinstance(part, nn.Conv2d))
    return any(max(c.kernel_size) > 1 and c.stride != c.kernel_size for c in convolutions)


@cache
def family_of(backbone: str) -> Family:
    """The family of a backbone of timm's, by its name; no weights are loaded.

    Args:
        backbone: A name, perhaps with a tag.
    """
    try:
        with torch.device("meta"):  # which allocates and computes nothing
            return family(timm.create_model(backbone, pretrained=False))
    except (NotImplementedError, RuntimeError):  # what the meta device cannot do
        return family(timm.create_model(backbone, pretrained=False))
