"""One optimizer step with labels, whole or in parts."""

from __future__ import annotations

from typing import Any

import torch
from lightning_fabric import Fabric

from vitrial.tasks import TASKS, Task


def train_step(
    network: Any,
    optimizer: Any,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    weight: torch.Tensor | None,
    clip_norm: float | None,
    fabric: Fabric,
    task: Task = TASKS["multiclass"],
    balance: float = 1.0,
    accumulate: int = 1,
) -> torch.Tensor:
    """One optimizer step; the loss, left on the device.

    Args:
        network: The model, set up by `fabric`.
        optimizer: Likewise.
        inputs: Float (n, channels, crop, crop): of the batch, or of this process's share of it.
        targets: Of them.
        weight: Of each class.
        clip_norm: Largest norm of the gradient.
        fabric: Device and precision.
        task: Whose loss.
        balance: Of the loss, between processes: see `vitrial.data.shares.balance`.
        accumulate: Parts that the inputs are computed in, whose gradients add up.
    """
    optimizer.zero_grad()
    losses = []
    for rows, share in _parts(targets, weight, accumulate):
        with fabric.no_backward_sync(network, enabled=rows.stop < len(targets)):
            loss = task.loss(network(inputs[rows]), targets[rows], weight) * balance * share
            fabric.backward(loss)
        losses.append(loss.detach())
    if clip_norm is not None:
        fabric.clip_gradients(network, optimizer, max_norm=clip_norm, error_if_nonfinite=False)
    optimizer.step()
    return torch.stack(losses).sum()


def _parts(
    targets: torch.Tensor, weight: torch.Tensor | None, number: int
) -> list[tuple[slice, torch.Tensor | float]]:
    """Parts of a batch, and what each one's mean loss counts in that of the batch."""
    n = len(targets)
    if number == 1:
        return [(slice(0, n), 1.0)]
    each = torch.ones_like(targets, dtype=torch.float32) if weight is None else weight[targets]
    number = min(number, n)
    rows = [slice(n * i // number, n * (i + 1) // number) for i in range(number)]
    return [(part, each[part].sum() / each.sum()) for part in rows]
