"""The optimizer, with weight decay on weights only."""

from __future__ import annotations

from typing import Any, Literal

import torch
from timm.optim import param_groups_weight_decay


def build_optimizer(
    model: Any, kind: Literal["adam", "adamw"], lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Adam or AdamW; biases, normalization and what the backbone exempts do not decay.

    Each group of parameters says under `decays` whether weight decay is for it.
    """
    exempt = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()
    spared, decaying = param_groups_weight_decay(
        model, weight_decay, no_weight_decay_list=tuple(exempt)
    )
    groups = [{**spared, "decays": False}, {**decaying, "decays": True}]
    optimizer = torch.optim.Adam if kind == "adam" else torch.optim.AdamW
    return optimizer(groups, lr=lr, fused=True)
