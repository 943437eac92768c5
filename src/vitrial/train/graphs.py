"""Training steps replayed as CUDA graphs.

A step of a ResNet50 launches some two thousand kernels. With 64 images a fast GPU is done with them
before the CPU has launched the next ones, and idles; a graph launches all at once
(pytorch.org/docs/stable/notes/cuda.html, "CUDA Graphs"). benchmarks/gpu.py measures the gain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from vitrial.events import Note, tell
from vitrial.protocol import Recipe

Step = Callable[[Tensor, Tensor], Tensor]
"""From inputs and targets to the loss, the weights being updated on the way."""

WARM_UP = 3
"""Steps as usual before one is captured: what libraries set up at first use is not captured."""


@dataclass(frozen=True)
class _Captured:
    """A graph with the memory that it reads and writes, and the step, whose tensors it uses."""

    graph: torch.cuda.CUDAGraph
    inputs: Tensor
    targets: Tensor
    loss: Tensor
    step: Step


class Graphs:
    """The graphs of one training, one for each size of batch.

    Args:
        optimizer: Whose state and rates are from now on read on the device.
        device: A GPU.
    """

    def __init__(self, optimizer: Any, device: torch.device) -> None:
        self._captured: dict[int, _Captured] = {}
        self._seen: Counter[int] = Counter()
        self._works = True
        for group in optimizer.param_groups:
            group["capturable"] = True
            group["lr"] = torch.tensor(float(group["lr"]), device=device)

    def take(self, step: Step, inputs: Tensor, targets: Tensor) -> Tensor:
        """Take a step; the loss, left on the device."""
        n = len(inputs)
        if n not in self._captured:
            self._seen[n] += 1
            if not self._works or self._seen[n] <= WARM_UP:
                return step(inputs, targets)
            self._capture(step, inputs, targets)
        if n not in self._captured:
            return step(inputs, targets)
        captured = self._captured[n]
        captured.inputs.copy_(inputs)
        captured.targets.copy_(targets)
        captured.graph.replay()
        return captured.loss.clone()

    def _capture(self, step: Step, inputs: Tensor, targets: Tensor) -> None:
        graph = torch.cuda.CUDAGraph()
        # Graphs that are never replayed at once can share their memory.
        pools = [captured.graph.pool() for captured in self._captured.values()]
        inputs, targets = inputs.clone(), targets.clone()
        try:
            with torch.cuda.graph(graph, pool=pools[0] if pools else None):
                loss = step(inputs, targets)
        except RuntimeError as error:
            self._works = False
            reason = str(error).splitlines()[0]
            tell(Note(f"Steps are launched one kernel at a time, which is slower: {reason}"))
        else:
            self._captured[len(inputs)] = _Captured(graph, inputs, targets, loss, step)


def graphs_for(optimizer: Any, recipe: Recipe, fabric: Fabric) -> Graphs | None:
    """Graphs where they can be used: on one GPU, with a model that is not compiled."""
    if fabric.device.type == "cuda" and fabric.world_size == 1 and not recipe.compile:
        return Graphs(optimizer, fabric.device)
    for group in optimizer.param_groups:  # a GPU may have written the checkpoint
        group.update(capturable=False, lr=float(group["lr"]))
    return None


def set_rate(optimizer: Any, rate: float) -> None:
    """Set the learning rate of all parameters, on the device if graphs read it there."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
