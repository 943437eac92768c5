import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import recall_score

from vitrial.compare.aligned import Aligned
from vitrial.compare.intervals import single_effect
from vitrial.compare.per_class import sensitivity_table


def aligned(images=60, seed=0):
    rng = np.random.default_rng(seed)
    targets = np.arange(images) % 3
    table = pd.DataFrame({"image": [str(i) for i in range(images)], "target": targets})
    table = table.assign(group=[f"p{i // 2}" for i in range(images)])
    logits = rng.normal(size=(4, images, 4)) + 2 * np.eye(4)[targets]
    return Aligned(("r1", "r2", "r3", "r4"), ("A", "A", "B", "B"), table, logits)


def test_it_is_the_recall_of_each_class_that_has_images():
    test = aligned()
    table = sensitivity_table(test)
    assert table["target"].unique().tolist() == [0, 1, 2], "none is of class 3"
    for arm, runs in (("A", [0, 1]), ("B", [2, 3])):
        recalls = [
            recall_score(test.targets, run.argmax(axis=1), average=None, labels=[0, 1, 2])
            for run in test.logits[runs]
        ]
        found = table[table["arm"] == arm]["value"]
        assert found.to_numpy() == pytest.approx(np.mean(recalls, axis=0))
    assert table["images"].tolist() == [20] * 6


def test_its_interval_leaves_out_each_group_in_turn():
    test = aligned()
    right = test.logits.argmax(axis=-1) == test.targets
    of_class, groups = test.targets == 1, np.unique(test.groups)
    deleted = np.array(
        [[run[of_class & (test.groups != g)].mean() for g in groups] for run in right[:2]]
    )
    deviation = deleted - deleted.mean(axis=1, keepdims=True)
    covariance = (len(groups) - 1) / len(groups) * deviation @ deviation.T
    expected = single_effect(right[:2][:, of_class].mean(axis=1), covariance)
    row = sensitivity_table(test).query("target == 1 and arm == 'A'").iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_a_class_of_a_single_patient_has_a_value_and_no_interval():
    test = aligned()
    test.images.loc[test.images["target"] == 2, "group"] = "one"
    rows = sensitivity_table(test).query("target == 2")
    assert rows["value"].notna().all()
    assert rows["low"].isna().all()
