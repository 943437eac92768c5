import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from vitrial.evaluate.knn import knn_predict
from vitrial.metrics import ENDPOINTS, METRICS, all_metrics
from vitrial.metrics.answers import accuracy, balanced_accuracy, confusion, f1, quadratic_kappa
from vitrial.metrics.probabilities import brier, expected_calibration_error, log_loss, roc_auc


def logits_for(predicted, classes):
    return np.eye(classes)[predicted] * 10


def kappa_by_definition(targets, predicted, classes):
    """Cohen (1968): 1 - sum(w * observed) / sum(w * expected), w the squared distance."""
    observed = np.zeros((classes, classes))
    np.add.at(observed, (targets, predicted), 1)
    expected = np.outer(observed.sum(1), observed.sum(0)) / len(targets)
    w = np.subtract.outer(np.arange(classes), np.arange(classes)) ** 2
    return 1 - (w * observed).sum() / (w * expected).sum()


@given(st.data())
def test_quadratic_kappa_by_its_definition(data):
    n = data.draw(st.integers(5, 40))
    grades = st.lists(st.integers(0, 4), min_size=n, max_size=n)
    targets, predicted = np.array(data.draw(grades)), np.array(data.draw(grades))
    if len(set(predicted)) > 1:
        wanted = kappa_by_definition(targets, predicted, 5)
        assert quadratic_kappa(targets, logits_for(predicted, 5)) == pytest.approx(wanted)


def test_a_constant_answer_has_kappa_zero():
    assert quadratic_kappa(np.array([0, 1, 2]), logits_for([1, 1, 1], 3)) == 0
    assert quadratic_kappa(np.array([1, 1, 1]), logits_for([1, 1, 1], 3)) == 0


def test_balanced_accuracy_is_mean_recall():
    targets, predicted = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 0, 2])
    score = balanced_accuracy(targets, logits_for(predicted, 3))
    assert score == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert score == pytest.approx(balanced_accuracy_score(targets, predicted))


def test_binary_auc_is_the_share_of_pairs_in_order():
    targets = np.array([0, 0, 1, 1])
    logits = np.stack([np.zeros(4), [0.1, 0.4, 0.35, 0.8]], axis=1)
    assert roc_auc(targets, logits) == pytest.approx(3 / 4)


def test_auc_needs_every_class():
    with pytest.raises(ValueError, match="class"):
        roc_auc(np.array([0, 1, 1]), np.random.default_rng(0).normal(size=(3, 3)))


def test_multiclass_auc_is_the_mean_of_one_vs_rest():
    rng = np.random.default_rng(0)
    targets, logits = rng.integers(0, 3, 60), rng.normal(size=(60, 3))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    areas = [
        np.mean([a > b for a in p[targets == c, c] for b in p[targets != c, c]]) for c in range(3)
    ]
    assert roc_auc(targets, logits) == pytest.approx(np.mean(areas))


def test_accuracy_f1_and_confusion_of_a_worked_case():
    targets, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    logits = logits_for(predicted, 2)
    assert accuracy(targets, logits) == 0.75
    assert f1(targets, logits) == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert confusion(targets, logits).tolist() == [[1, 1], [0, 2]]


def test_calibration_error_of_a_worked_case():
    # Two bins: confidence .8, right half of the time; confidence .6, always right.
    probabilities = np.array([[0.8, 0.2]] * 4 + [[0.4, 0.6]] * 2)
    targets = np.array([0, 0, 1, 1, 1, 1])
    wanted = 4 / 6 * abs(0.5 - 0.8) + 2 / 6 * abs(1 - 0.6)
    assert expected_calibration_error(targets, probabilities) == pytest.approx(wanted)


def test_perfect_certainty_is_calibrated():
    assert expected_calibration_error(np.array([0, 1]), np.eye(2)) == 0


def test_nearest_neighbors_vote_by_similarity_not_by_number():
    # One neighbor in the same direction outweighs two that are nearly orthogonal.
    train = np.array([[1.0, 0.0], [0.1, 1.0], [0.1, 1.0]])
    assert knn_predict(train, np.array([0, 1, 1]), np.array([[1.0, 0.05]])) == [0]


def test_nearest_neighbors_recover_separated_clusters():
    rng = np.random.default_rng(0)
    centers = np.eye(3) * 10
    targets = np.repeat([0, 1, 2], 30)
    features = centers[targets] + rng.normal(size=(90, 3))
    predicted = knn_predict(features[::2], targets[::2], features[1::2])
    assert (predicted == targets[1::2]).all()


def test_log_loss_and_brier_of_a_worked_case():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    targets = np.array([0, 2])
    logits = np.log(probabilities)
    assert log_loss(targets, logits) == pytest.approx((np.log(2) + np.log(10)) / 2)
    wanted = ((0.25 + 2 * 0.0625) + (0.01 + 0.64 + 0.81)) / 2
    assert brier(targets, logits) == pytest.approx(wanted)
    two = np.log(np.array([[0.3, 0.7], [0.6, 0.4]]))
    assert brier(np.array([1, 1]), two) == pytest.approx((0.09 + 0.36) / 2)


def test_all_metrics_are_finite_and_in_range():
    rng = np.random.default_rng(1)
    metrics = all_metrics(np.arange(40) % 4, rng.normal(size=(40, 4)))
    assert metrics.keys() == METRICS.keys()
    assert metrics.pop("log_loss") > 0
    assert 0 <= metrics.pop("brier") <= 2
    assert all(-1 <= value <= 1 for value in metrics.values())


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_every_metric_prefers_the_truth_to_its_reverse(classes, seed):
    """So the direction that selection follows is the metric's own."""
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(classes), rng.integers(0, classes, 20)])
    right = 4.0 * np.eye(classes)[targets] + rng.normal(0, 0.1, (len(targets), classes))
    for metric in ENDPOINTS.values():
        assert metric.gain(metric(targets, right)) > metric.gain(metric(targets, -right)), metric


@pytest.mark.parametrize("classes", [2, 5])
def test_guessing_scores_what_a_metric_says_that_chance_is(classes):
    targets = np.repeat(np.arange(classes), 200)
    flat = np.zeros((len(targets), classes))
    for metric in METRICS.values():
        if metric.chance is not None:
            assert metric(targets, flat) == pytest.approx(metric.chance(classes)), metric.name


def test_every_metric_goes_by_its_own_name():
    assert all(metric.name == name for name, metric in METRICS.items())
    assert set(ENDPOINTS) == set(METRICS) - {"calibration_error"}


@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_a_weight_of_two_counts_as_the_image_twice(classes, seed):
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(classes), rng.integers(0, classes, 20)])
    logits = rng.normal(size=(len(targets), classes))
    weights = rng.integers(1, 4, len(targets))
    rows = np.repeat(np.arange(len(targets)), weights)
    for metric in METRICS.values():
        wanted = metric(targets[rows], logits[rows])
        assert metric(targets, logits, weights) == pytest.approx(wanted), metric.name


def test_naming_a_metric_takes_no_scikit_learn():
    code = (
        "import sys, vitrial.metrics; sys.exit(any(m in sys.modules for m in ('sklearn', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
