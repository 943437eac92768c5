"""Kappa, recall and areas, as the jackknife has them, against scikit-learn on random cases."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import config_context
from sklearn.metrics import cohen_kappa_score, recall_score, roc_auc_score

from vitrial.compare.jackknife import jackknife

RUNS = 50


def kappa(targets, logits):
    answers = logits.argmax(axis=1)
    if len(set(answers)) == 1:
        return 0.0  # by definition here: scikit-learn divides 0 by 0 in part of these
    labels = range(logits.shape[1])
    return cohen_kappa_score(targets, answers, labels=list(labels), weights="quadratic")


def recall(targets, logits):
    return recall_score(targets, logits.argmax(axis=1), average="macro", labels=np.unique(targets))


def area(targets, logits):
    if logits.shape[1] == 2:
        return roc_auc_score(targets, logits[:, 1] - logits[:, 0])
    return roc_auc_score(targets, softmax(logits, axis=1), multi_class="ovr")


@pytest.mark.parametrize("cases", [200, pytest.param(2_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("endpoint", "reference"),
    [("quadratic_kappa", kappa), ("balanced_accuracy", recall), ("roc_auc", area)],
)
def test_random_cases(endpoint, reference, cases):
    """Few images each, and half of them with rounded logits: ties and constant answers are many."""
    generator = np.random.default_rng(0)
    for block in range(cases // RUNS):
        classes = int(generator.integers(2, 6))
        n = int(generator.integers(2 * classes, 30))
        targets = np.concatenate(
            [np.arange(classes), generator.integers(classes, size=n - classes)]
        )
        logits = generator.normal(size=(RUNS, n, classes)) + np.eye(classes)[targets]
        logits = np.round(logits) if block % 2 else logits
        logits[0] = np.eye(classes)[0]  # one answer for all
        found = jackknife(endpoint, targets, logits, np.arange(n) // 2).scores
        with config_context(assume_finite=True, skip_parameter_validation=True):  # for speed
            expected = [reference(targets, run) for run in logits]
        np.testing.assert_allclose(found, expected, atol=1e-12)
