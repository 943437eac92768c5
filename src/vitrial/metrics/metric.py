"""What a metric is, and what it may be a function of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Weights = np.ndarray | None


class Function(Protocol):
    """A metric's value for targets (n,), logits (n, classes) and weights (n,) of the images."""

    def __call__(self, targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
        """The value."""
        ...


@dataclass(frozen=True)
class OfConfusion:
    """A metric that is a function of the confusion matrix.

    Attributes:
        score: Of confusion matrices (m, classes, classes), truth in rows, the metric (m,).
        averages_classes: Whether it has no value once all images of a class are left out.
    """

    score: Callable[[np.ndarray], np.ndarray]
    averages_classes: bool = False


@dataclass(frozen=True)
class OfImages:
    """A metric that is a mean over images.

    Attributes:
        values: Of targets (n,) and logits (n, classes), what is averaged (n,).
    """

    values: Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class OfSums:
    """A metric that is a function of sums over images.

    Attributes:
        values: Of targets (n,) and logits (n, classes), what is summed (n, s).
        score: Of sums (..., s) the metric (...).
    """

    values: Callable[[np.ndarray, np.ndarray], np.ndarray]
    score: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class OfPairs:
    """A metric that is the share of pairs in order, of an image of a class and one of no such.

    Averaged over classes; it has no value where a class has no image.

    Attributes:
        scores: Of logits (n, classes), for each class that counts what orders the images (n,).
    """

    scores: Callable[[np.ndarray], dict[int, np.ndarray]]


@dataclass(frozen=True)
class Metric:
    """A metric, and all that the program has to know of it.

    Calling it gives its value for targets (n,), class indices, and logits (n, classes).

    Attributes:
        name: In protocols, and in the columns of tables.
        label: For people.
        function: Of targets, logits and weights.
        form: What it is a function of, by which it is computed without each patient; None for a
            metric that has to be recomputed for each.
        higher_is_better: Its direction.
        chance: What guessing scores, from the number of classes; None where that depends on how
            frequent they are.
        needs_order: Whether it grades by the order of the classes.
        endpoint: Whether validation may select by it. A calibration error alone may not: it is
            perfect for a model that tells nothing.
        short: Another name for it on the command line, as in the paper's Table 1.
    """

    name: str
    label: str
    function: Function
    form: OfConfusion | OfImages | OfSums | OfPairs | None = None
    higher_is_better: bool = True
    chance: Callable[[int], float] | None = None
    needs_order: bool = False
    endpoint: bool = True
    short: str = ""

    def __call__(self, targets: np.ndarray, logits: np.ndarray, weights: Weights = None) -> float:
        """Its value; images count by their weights (n,), alike if left out."""
        return self.function(targets, logits, weights)

    def gain(self, value: float) -> float:
        """A value turned so that higher is better: what selection maximizes."""
        return value if self.higher_is_better else -value
