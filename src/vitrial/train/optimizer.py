"""The optimizer of a recipe, with weight decay on weights only."""

from __future__ import annotations

from typing import Any

import torch
from timm.optim import param_groups_weight_decay

from vitrial.protocol import Recipe


def build_optimizer(model: Any, recipe: Recipe) -> torch.optim.Optimizer:
    """Adam or AdamW; biases, normalisation and what the backbone exempts do not decay."""
    exempt = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()
    groups = param_groups_weight_decay(model, recipe.weight_decay, no_weight_decay_list=exempt)
    kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=recipe.base_lr, fused=True)
