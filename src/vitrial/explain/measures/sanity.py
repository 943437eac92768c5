"""Does a map change when the model's weights do? Adebayo et al. 2018, sec. 3.1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from timm.models import group_parameters
from torch import Tensor, nn

from vitrial.explain.maps import explain_images


def cascade(model: Any, fresh: nn.Module) -> Iterator[str]:
    """Replace a model's layers by random ones, from the head down, each time one more.

    Args:
        model: timm's; it is changed in place.
        fresh: The same architecture with random weights.

    Yields:
        The names of the layers that have just been replaced.
    """
    state, random = model.state_dict(), fresh.state_dict()
    buffers = {name for name, _ in model.named_buffers()} & set(state)
    groups = group_parameters(model, model.group_matcher(coarse=True))
    for _, names in sorted(groups.items(), reverse=True):
        owners = {name.rpartition(".")[0] for name in names}
        # Batch normalization's running statistics go with its weights.
        theirs = [name for name in buffers if name.rpartition(".")[0] in owners]
        for name in [*names, *theirs]:
            state[name].copy_(random[name])
        yield _in_short(names)


def changes(
    model: nn.Module, fresh: nn.Module, images: Tensor, method: str
) -> Iterator[tuple[int, str, np.ndarray]]:
    """How much of a map is left as the weights are randomized from the head down.

    The class explained stays the one that the untouched model predicts.

    Args:
        model: Trained; it is random afterwards.
        fresh: The same architecture with random weights.
        images: Normalized (n, channels, height, width).
        method: A method that fits the model.

    Yields:
        The step from 1, the layers replaced at this step, and (n,) Spearman's rank correlation of
        the map with the untouched model's. Nothing for a model whose layers timm cannot order.
    """
    if not hasattr(model, "group_matcher"):
        return
    before = explain_images(model, images, method)
    target = torch.from_numpy(before.target)
    for step, layers in enumerate(cascade(model, fresh), start=1):
        now = explain_images(model, images, method, target)
        yield step, layers, rank_correlation(before.values, now.values)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's correlation of maps (n, h, w) with others: (n,), 0 where a map is constant."""
    x, y = (rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second))
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    together = (x * y).sum(axis=1)
    return np.asarray(np.divide(together, size, out=np.zeros(len(x)), where=size > 0))


def _in_short(names: list[str]) -> str:
    """`layer4` for the names of what is in it: their common beginnings, two parts at most."""
    parts = (name.split(".") for name in names)
    short = dict.fromkeys(".".join(p[:2]) if p[1:] and p[1].isdecimal() else p[0] for p in parts)
    shown = list(short)
    return ", ".join(shown[:3]) + (", ..." if len(shown) > 3 else "")
