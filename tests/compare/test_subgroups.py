import numpy as np
import pandas as pd
import pytest

from vitrial.compare.aligned import effects
from vitrial.compare.by_patient import by_patient
from vitrial.compare.subgroups import CLASSES, GROUPS, parts_of, subgroup_tables


def test_columns_are_cut_into_subgroups():
    ages = pd.Series([3, 19, 20, 85, None], name="age")
    assert parts_of(ages).tolist() == ["0-19", "0-19", "20-39", "80-99", "unknown"]
    assert parts_of(pd.Series(["5", "41"], name="patient_age")).tolist() == ["0-19", "40-59"]
    assert parts_of(pd.Series(["a", None, "b"], name="site")).tolist() == ["a", "unknown", "b"]
    assert len(set(parts_of(pd.Series(np.arange(100.0), name="dose")))) == 4
    assert set(parts_of(pd.Series([1, 2, 1], name="stage"))) == {"1", "2"}


def test_a_subgroup_is_judged_as_if_it_were_all(aligned):
    _, test = aligned()
    table, _ = subgroup_tables(test, "sex", "roc_auc", [("new", "old")])
    female = test.only((test.images["sex"] == "female").to_numpy())
    expected = effects(female.scored("roc_auc"), female.arms, [("new", "old")])
    found = table[table["subgroup"] == "female"]
    for column in ("value", "low", "high"):
        np.testing.assert_allclose(found[column], expected[column])
    assert set(found["images"]) == {len(female.images)}


def test_small_subgroups_and_those_without_a_class_are_named_and_not_judged(aligned):
    _, test = aligned(per_group=1)
    images = test.images.assign(site="large")
    images.loc[images.index[:19], "site"] = "small"
    images.loc[images.index[test.targets == 1][-30:], "site"] = "ill"
    table, gaps = subgroup_tables(
        type(test)(test.runs, test.arms, images, test.logits), "site", "roc_auc", []
    )
    why = table.drop_duplicates("subgroup").set_index("subgroup")["why"]
    assert (why["small"], why["ill"]) == (GROUPS, CLASSES)
    assert table[table["subgroup"] == "small"]["value"].isna().all()
    assert gaps.empty, "there is but one to be compared"


def test_the_gap_counts_what_each_subgroup_varies_by(aligned):
    """Of two subgroups of different patients, variances add up: the interval is about known."""
    _, test = aligned(images=600, per_group=1)
    table, gaps = subgroup_tables(test, "sex", "accuracy", [])
    assert gaps["gap"].ge(0).all()
    parts = table[table["arm"] == "new"].set_index("subgroup")["value"]
    row = gaps[gaps["arm"] == "new"].iloc[0]
    assert row["gap"] == pytest.approx(parts[row["best"]] - parts[row["worst"]])
    assert row["low"] < row["gap"] < row["high"]
    one = type(test)(test.runs[:1], test.arms[:1], test.images, test.logits[:1])
    _, alone = subgroup_tables(one, "sex", "accuracy", [])
    right = one.logits[0].argmax(axis=1) == one.targets
    halves = [right[one.images["sex"] == sex] for sex in ("female", "male")]
    error = np.sqrt(sum(half.var() / len(half) for half in halves))
    assert alone["high"][0] - alone["low"][0] == pytest.approx(2 * 1.96 * error, rel=0.02)


def test_by_patient_averages_probabilities_and_leaves_out_mixed_groups(aligned):
    _, test = aligned()
    images = test.images.copy()
    images.loc[[0, len(images) - 1], "group"] = "mixed"  # of the first class and of the last
    test = type(test)(test.runs, test.arms, images, test.logits)
    patients, mixed = by_patient(test)
    assert mixed == 1
    assert patients.images["group"].is_unique
    group = images["group"].value_counts().index[0]
    rows = (images["group"] == group).to_numpy()
    p = np.exp(test.logits[2][rows])
    mean = (p / p.sum(axis=1, keepdims=True)).mean(axis=0)
    place = patients.images.index[patients.images["group"] == group][0]
    np.testing.assert_allclose(np.exp(patients.logits[2, place]), mean)
