import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from vitrial.compare.jackknife import jackknife
from vitrial.metrics import METRICS


def draw(seed, n=90, classes=3, most=4, ties=False):
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n), generator.integers(1, most + 1, n))[:n]
    targets = generator.integers(classes, size=n)
    logits = generator.normal(size=(2, n, classes)) + 1.5 * np.eye(classes)[targets]
    return targets, list(np.round(logits) if ties else logits), groups


@pytest.mark.parametrize("endpoint", METRICS)
@pytest.mark.parametrize("classes", [2, 4])
@given(seed=st.integers(0, 10_000), ties=st.booleans())
@settings(max_examples=8, deadline=None)
def test_as_deleting_groups_one_by_one(endpoint, classes, seed, ties):
    targets, logits, groups = draw(seed, classes=classes, ties=ties)
    found = jackknife(endpoint, targets, logits, groups)
    in_order = pd.unique(groups)
    for run, scores in zip(logits, found.deleted, strict=True):
        expected = [METRICS[endpoint](targets[groups != g], run[groups != g]) for g in in_order]
        np.testing.assert_allclose(scores, expected, atol=1e-12)
    whole = [METRICS[endpoint](targets, run) for run in logits]
    np.testing.assert_allclose(found.scores, whole, atol=1e-12)


def test_proper_scores_as_scikit_learn_and_the_definition():
    targets, logits, groups = draw(3)
    probabilities = softmax(logits[0], axis=1)
    truth = np.eye(3)[targets]
    expected = {
        "log_loss": log_loss(targets, probabilities),
        "brier": ((probabilities - truth) ** 2).sum(axis=1).mean(),
    }
    for endpoint, value in expected.items():
        assert jackknife(endpoint, targets, logits, groups).scores[0] == pytest.approx(value)


def test_covariance_of_a_mean_is_its_textbook_variance():
    targets, logits, _ = draw(5)
    found = jackknife("log_loss", targets, logits, np.arange(len(targets)))
    losses = [-log_softmax(run, axis=1)[np.arange(len(targets)), targets] for run in logits]
    np.testing.assert_allclose(found.covariance, np.cov(losses) / len(targets), rtol=1e-9)


def test_the_order_of_images_and_the_names_of_groups_are_irrelevant():
    targets, logits, groups = draw(7)
    order = np.random.default_rng(0).permutation(len(targets))
    one = jackknife("roc_auc", targets, logits, groups).covariance
    named = np.array([f"patient {g}" for g in groups])[order]
    other = jackknife("roc_auc", targets[order], [run[order] for run in logits], named).covariance
    np.testing.assert_allclose(one, other, rtol=1e-9)


@pytest.mark.parametrize("endpoint", ["balanced_accuracy", "f1", "roc_auc"])
def test_a_class_of_one_group_has_no_score_without_it(endpoint):
    targets, logits, groups = draw(9)
    groups = np.where(targets == 2, 1_000, groups)
    deleted = jackknife(endpoint, targets, logits, groups).deleted
    assert np.isnan(deleted).any(axis=0).sum() == 1
