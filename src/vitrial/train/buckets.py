"""Gradients that several processes add in the same order after a resume as without one.

DistributedDataParallel sends gradients in buckets. After its first step it lays them out anew, in
the order in which gradients came (PyTorch, torch/csrc/distributed/c10d/reducer.cpp,
`rebuild_buckets`), and where a gradient lies in a bucket decides in which order more than two
processes add theirs. So the first step after a resume would be rounded otherwise than the same step
of an undisturbed training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor, nn


def lay_out_buckets(
    network: Any, model: nn.Module, loss: Callable[[], Tensor], fabric: Fabric
) -> None:
    """Let the buckets be laid out as they are after a first step, and leave the model as it is.

    Args:
        network: The model, set up by `fabric`.
        model: As it has been restored.
        loss: Of some inputs, by `network`, to which all parameters with a gradient contribute. What
            it draws at random must be restored afterwards.
        fabric: Of several processes, all of which call this.
    """
    restored = {name: value.clone() for name, value in model.state_dict().items()}
    network.train()
    fabric.backward(loss())
    model.load_state_dict(restored)
    model.zero_grad()
