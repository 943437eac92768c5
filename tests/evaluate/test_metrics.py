import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from vitrial.evaluate.calibration import expected_calibration_error
from vitrial.evaluate.knn import knn_predict
from vitrial.evaluate.metrics import (
    accuracy,
    all_metrics,
    balanced_accuracy,
    confusion,
    f1,
    quadratic_kappa,
    roc_auc,
)


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


def test_nearest_neighbours_vote_by_similarity_not_by_number():
    # One neighbour in the same direction outweighs two that are nearly orthogonal.
    train = np.array([[1.0, 0.0], [0.1, 1.0], [0.1, 1.0]])
    assert knn_predict(train, np.array([0, 1, 1]), np.array([[1.0, 0.05]])) == [0]


def test_nearest_neighbours_recover_separated_clusters():
    rng = np.random.default_rng(0)
    centres = np.eye(3) * 10
    targets = np.repeat([0, 1, 2], 30)
    features = centres[targets] + rng.normal(size=(90, 3))
    predicted = knn_predict(features[::2], targets[::2], features[1::2])
    assert (predicted == targets[1::2]).all()


def test_all_metrics_are_finite_and_in_range():
    rng = np.random.default_rng(1)
    metrics = all_metrics(np.arange(40) % 4, rng.normal(size=(40, 4)))
    assert all(-1 <= value <= 1 for value in metrics.values())
