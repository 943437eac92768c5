import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from vitrial.compare.decisions import choose_threshold, net_benefit_table, operating_table


@given(seed=st.integers(0, 1000), level=st.sampled_from([0.5, 0.8, 0.9, 1.0]))
@settings(max_examples=30, deadline=None)
def test_the_threshold_is_the_best_that_reaches_what_is_required(seed, level):
    """By scikit-learn's curve, of all thresholds that there are; scores have ties."""
    generator = np.random.default_rng(seed)
    positive = np.arange(40) % 3 == 0
    scores = np.round(generator.normal(size=40) + positive, 1)
    false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
    called = scores > choose_threshold(scores, positive, "specificity", level)
    assert called[positive].mean() == pytest.approx(true[false <= 1 - level + 1e-9].max())
    assert (~called)[~positive].mean() >= level - 1e-9
    called = scores > choose_threshold(scores, positive, "sensitivity", level)
    assert called[~positive].mean() == pytest.approx(false[true >= level - 1e-9].min())
    assert called[positive].mean() >= level - 1e-9


def test_what_thresholds_of_validation_give_on_test(aligned):
    val, test = aligned()
    table = operating_table(test, val, 1, [("new", "old")], "sensitivity", 0.8)
    sensitivity, specificity = [], []
    for run in range(2):
        threshold = choose_threshold(val.log_odds(1)[run], val.targets == 1, "sensitivity", 0.8)
        called = test.log_odds(1)[run] > threshold
        sensitivity.append(called[test.targets == 1].mean())
        specificity.append((~called)[test.targets == 0].mean())
    new = table[(table["arm"] == "new") & (table["less"] == "")].set_index("measure")
    assert new.loc["sensitivity", "value"] == pytest.approx(np.mean(sensitivity))
    assert new.loc["specificity", "value"] == pytest.approx(np.mean(specificity))
    assert (table["low"] <= table["high"]).all()
    difference = table[table["less"] == "old"].set_index("measure")
    assert difference.loc["specificity", "value"] > 0, "the better arm gives away less"


def test_net_benefit_by_its_formula_and_of_acting_on_all(aligned):
    """Vickers and Elkin 2006, by counting."""
    _, test = aligned()
    table = net_benefit_table(test, 1, [], thresholds=(0.2, 0.5))
    n, truth = len(test.targets), test.targets == 1
    for row in table[table["arm"] == "old"].to_dict("records"):
        p, expected = row["threshold"], []
        for odds in test.log_odds(1)[2:]:
            acted = 1 / (1 + np.exp(-odds)) >= p
            true, false = (acted & truth).sum(), (acted & ~truth).sum()
            expected.append(true / n - false / n * p / (1 - p))
        assert row["value"] == pytest.approx(np.mean(expected))
        assert row["act_on_all"] == pytest.approx(truth.mean() - (~truth).mean() * p / (1 - p))
