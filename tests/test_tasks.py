import numpy as np
import pandas as pd
import pytest
import torch

from vitrial.metrics import METRICS
from vitrial.tasks import TASKS, task_of


def test_targets_are_places_in_the_order_of_classes():
    labels = pd.Series(["b", "a", "c", "b"])
    assert TASKS["multiclass"].targets(labels, ["c", "a", "b"]).tolist() == [2, 1, 0, 2]


@pytest.mark.parametrize("name", TASKS)
def test_loss_and_probabilities_are_of_one_model(name):
    outputs, targets = torch.randn(8, 3), torch.arange(8) % 3
    probabilities = TASKS[name].probabilities(outputs.numpy())
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    true = probabilities[np.arange(8), targets.numpy()]
    assert float(TASKS[name].loss(outputs, targets)) == pytest.approx(-np.log(true).mean())


def test_classes_are_weighted_as_pytorch_does():
    outputs, targets = torch.randn(8, 2), torch.arange(8) % 2
    weight = torch.tensor([1.0, 3.0])
    loss = TASKS["multiclass"].loss(outputs, targets, weight)
    each = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
    assert float(loss) == pytest.approx(
        float((each * weight[targets]).sum() / weight[targets].sum())
    )


def test_only_where_classes_are_ordered_may_their_order_score():
    fits = {name: [m.name for m in METRICS.values() if TASKS[name].fits(m)] for name in TASKS}
    assert set(fits["ordered"]) - set(fits["multiclass"]) == {"quadratic_kappa"}
    assert task_of("quadratic_kappa") is TASKS["ordered"]
    assert task_of("roc_auc") is TASKS["multiclass"]
