"""What a model is asked: its targets, loss and probabilities, and which metrics fit.

Multiclass is one of several classes; ordered is one of several grades, where an error by two grades
is worse than by one. Both are learned by cross-entropy, as in the paper; the order counts when
answers are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vitrial.metrics import METRICS
from vitrial.metrics.metric import Metric
from vitrial.metrics.probabilities import probabilities_of

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Task:
    """A kind of question about an image.

    Attributes:
        name: For people.
        ordered: Whether the classes stand in an order.
    """

    name: str
    ordered: bool

    def targets(self, labels: pd.Series, classes: Sequence[str]) -> np.ndarray:
        """Labels (n,) as what is learned: class indices int64 (n,)."""
        return labels.map({name: i for i, name in enumerate(classes)}).to_numpy(np.int64)

    def loss(
        self, outputs: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Mean loss of outputs (n, classes) for targets (n,), classes weighted by (classes,)."""
        from torch.nn.functional import cross_entropy  # tasks are named where torch is not needed

        return cross_entropy(outputs, targets, weight)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Of each class, float64 (n, classes), from outputs (n, classes)."""
        return probabilities_of(outputs)

    def fits(self, metric: Metric) -> bool:
        """Whether a metric may score the answers."""
        return self.ordered or not metric.needs_order


TASKS = {task.name: task for task in (Task("multiclass", False), Task("ordered", True))}


def task_of(endpoint: str) -> Task:
    """The task that an endpoint asks for: ordered if it scores by the order of the classes."""
    return TASKS["ordered" if METRICS[endpoint].needs_order else "multiclass"]
