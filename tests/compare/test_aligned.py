import numpy as np
import pytest

from vitrial.compare.aligned import align, effects
from vitrial.compare.intervals import nested_effect, single_effect
from vitrial.errors import VitrialError


def test_runs_are_laid_side_by_side_in_whatever_order_their_images_are(runs_of):
    runs, manifest = runs_of()
    name, arm, table = runs[1]
    shuffled = [runs[0], (name, arm, table.sample(frac=1, random_state=0)), *runs[2:]]
    one, other = align(runs, "test", manifest), align(shuffled, "test", manifest)
    np.testing.assert_array_equal(one.logits, other.logits)
    assert {"sex", "age"} <= set(one.images)
    assert "row" not in one.images


def test_runs_on_other_images_or_targets_are_refused(runs_of):
    runs, _ = runs_of()
    name, arm, table = runs[1]
    for other in (table.iloc[:-1], table.assign(target=1 - table["target"])):
        with pytest.raises(VitrialError, match="other test images"):
            align([runs[0], (name, arm, other)], "test")


def test_intervals_are_those_of_the_verdict(aligned):
    _, test = aligned()
    scored = test.scored("roc_auc")
    table = effects(scored, test.arms, [("new", "old")])
    single = single_effect(scored.scores[:2], scored.covariance[:2, :2])
    nested = nested_effect(scored.scores[:2], scored.scores[2:], scored.covariance)
    for row, effect in zip((0, 2), (single, nested), strict=True):
        found = table.iloc[row]
        assert found["value"] == pytest.approx(effect.difference)
        assert (found["low"], found["high"]) == pytest.approx((effect.low, effect.high))
    assert table["less"].tolist() == ["", "", "old"]


def test_a_run_has_the_log_odds_of_one_class_against_all(aligned):
    _, test = aligned(classes=3)
    logits = test.logits[0, 0]
    p = np.exp(logits) / np.exp(logits).sum()
    assert test.log_odds(1)[0, 0] == pytest.approx(np.log(p[1] / (1 - p[1])))
