"""The numbers on the page, computed again from the Parquet files without any of vitrial's code.

Scores by scikit-learn; intervals by deleting one patient after the other (docs/statistics.md).
"""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import t as student
from sklearn import metrics as sk

from html_tables import tables_of
from vitrial.layout import PAGE, REPORT

TITLES = {"train": "Training", "val": "Validation", "test": "Test"}


@pytest.fixture(scope="module")
def folder(drawn):
    return drawn("repeated").path


@pytest.fixture(scope="module")
def page(folder):
    return tables_of((folder / REPORT / PAGE).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def runs(folder):
    """Of each run its arm, repetition, test predictions and records, in the page's order."""
    found = []
    for stage in json.loads((folder / "study.json").read_text())["stages"]:
        run = folder / stage["folder"]
        predictions = pd.read_parquet(run / "predictions.parquet")
        test = predictions[predictions["split"] == "test"].sort_values("image", ignore_index=True)
        result = json.loads((run / "result.json").read_text())
        found.append({**stage, "test": test, "result": result})
    return found


def logits(test):
    return test.filter(like="logit_").to_numpy(np.float64)


def score(test):
    return sk.balanced_accuracy_score(test["target"], logits(test).argmax(axis=1))


def without_each_patient(tests, of):
    """(runs, patients) a score of each run without each patient."""
    patients = tests[0]["group"].unique()
    return np.array([[of(test[test["group"] != one]) for one in patients] for test in tests])


def interval(tests, arms, of=score):
    """The mean of one arm, or the difference of two, with its 95% interval."""
    deleted = without_each_patient(tests, of)
    deviation = deleted - deleted.mean(axis=1, keepdims=True)
    covariance = (deleted.shape[1] - 1) / deleted.shape[1] * deviation @ deviation.T
    scores = np.array([of(test) for test in tests])
    places = [np.flatnonzero(arms == arm) for arm in dict.fromkeys(arms)]
    within, training, freedom = [], 0.0, 0.0
    for at in places:
        own = covariance[np.ix_(at, at)]
        within.append(own[~np.eye(len(at), dtype=bool)].mean())
        variance, j = scores[at].var(ddof=1), len(at)
        training += variance / j
        freedom += variance**2 / (j**2 * (j - 1))
    value, patients = scores[places[0]].mean(), within[0]
    if len(places) == 2:
        value -= scores[places[1]].mean()
        patients = sum(within) - 2 * covariance[np.ix_(*places)].mean()
    total = training + max(patients, 0)
    reach = student.ppf(0.975, total**2 / freedom) * np.sqrt(total)
    return value, value - reach, value + reach


def by_arm(runs):
    return pd.DataFrame(runs).groupby("arm", sort=False)


def test_every_metric_of_every_run(page, runs):
    table = page["runs"]
    assert len(table) == len(runs) == 6
    for row, run in zip(table.to_dict("records"), runs, strict=True):
        test, outputs = run["test"], logits(run["test"])
        target, answer, chances = test["target"], outputs.argmax(axis=1), softmax(outputs, axis=1)
        expected = {
            "quadratic kappa": sk.cohen_kappa_score(target, answer, weights="quadratic"),
            "balanced accuracy": score(test),
            "ROC-AUC": sk.roc_auc_score(target, chances, multi_class="ovr"),
            "accuracy": sk.accuracy_score(target, answer),
            "F1 (macro)": sk.f1_score(target, answer, average="macro"),
            "log loss": sk.log_loss(target, chances),
            "Brier score": ((chances - np.eye(3)[target]) ** 2).sum(axis=1).mean(),
            "calibration error": calibration_error(target.to_numpy(), chances),
            "kNN": sk.balanced_accuracy_score(target, test["knn"]),
            "best epoch": run["result"]["best_epoch"],
            "epochs": run["result"]["epochs"],
        }
        assert (row["arm"], int(row["repetition"])) == (run["arm"], run["repetition"])
        shown = {name: float(row[name]) for name in expected}
        assert shown == pytest.approx(expected, abs=1e-9)


def calibration_error(target, chances):
    """Of the surest answer, in 15 bins of equal width."""
    surest, right = chances.max(axis=1), chances.argmax(axis=1) == target
    bins = np.minimum((surest * 15).astype(int), 14)
    gaps = [abs(surest[bins == b].sum() - right[bins == b].sum()) for b in range(15)]
    return sum(gaps) / len(target)


def test_the_table_of_arms(page, runs):
    for table, (arm, of_arm) in zip(page["arms"].to_dict("records"), by_arm(runs), strict=True):
        scores = pd.Series([score(test) for test in of_arm["test"]])
        chances = [softmax(logits(test), axis=1) for test in of_arm["test"]]
        errors = [
            calibration_error(test["target"].to_numpy(), of)
            for test, of in zip(of_arm["test"], chances, strict=True)
        ]
        knn = [sk.balanced_accuracy_score(test["target"], test["knn"]) for test in of_arm["test"]]
        minutes = [result["training_seconds"] / 60 for result in of_arm["result"]]
        assert f"{table['Backbone']} / {table['Initialization']}" == arm
        assert table["balanced accuracy"] == f"{scores.median():.3f} ± {scores.std():.3f}"
        assert table["kNN"] == f"{np.median(knn):.3f}"
        assert table["Calibration error"] == f"{np.median(errors):.3f}"
        assert table["Total, min"] == f"{np.median(minutes):.1f}"
        assert (table["Runs"], table["Parameters"]) == ("3", "5.0 M")


def test_the_comparison_with_its_interval(page, runs):
    (row,) = page["comparisons-1-numbers"].to_dict("records")
    order = [row["Treatment"], row["Control"]]
    chosen = sorted(runs, key=lambda run: order.index(run["arm"]))
    arms = np.array([run["arm"] for run in chosen])
    expected = interval([run["test"] for run in chosen], arms)
    shown = [float(row[name]) for name in ("Difference", "Low", "High")]
    assert shown == pytest.approx(expected, abs=1e-9)


def test_every_repetition_and_sensitivity_with_their_intervals(page, runs):
    sensitivity = page["sensitivity-by-class-numbers"].set_index(["arm", "class"])
    repetitions = page["repetitions-numbers"].set_index("arm")
    for arm, of_arm in by_arm(runs):
        tests, arms = list(of_arm["test"]), np.array([arm] * len(of_arm))
        scores = [score(test) for test in tests]
        summary = [np.median(scores), min(scores), max(scores), *interval(tests, arms)]
        names = ["median", "lowest", "highest", "mean", "low", "high"]
        assert repetitions.loc[arm, names].astype(float).tolist() == pytest.approx(summary)
        for place, name in enumerate("abc"):

            def recall(test, place=place):
                of_class = test[test["target"] == place]
                return (logits(of_class).argmax(axis=1) == place).mean()

            shown = sensitivity.loc[(arm, name), ["value", "low", "high"]].astype(float)
            assert shown.tolist() == pytest.approx(interval(tests, arms, recall))


def test_confusion_matrices(page, runs):
    for number, (_, of_arm) in enumerate(by_arm(runs), 1):
        counts = sum(
            sk.confusion_matrix(test["target"], logits(test).argmax(axis=1), labels=range(3))
            for test in of_arm["test"]
        )
        shown = page[f"confusion-{number}-numbers"].set_index("truth").astype(int)
        assert shown.to_numpy().tolist() == counts.tolist()


def test_learning_curves(page, runs):
    shown = page["learning-curves-numbers"].set_index(["arm", "epoch"]).astype(float)
    history = pd.concat(
        [pd.DataFrame(run["result"]["history"]).assign(arm=run["arm"]) for run in runs]
    )
    for (arm, epoch), of in history.groupby(["arm", "epoch"]):
        row = shown.loc[(arm, str(epoch))]
        for name in ("score", "train_loss"):
            expected = [of[name].median(), of[name].min(), of[name].max()]
            found = row[[name, f"{name}_low", f"{name}_high"]].tolist()
            assert found == pytest.approx(expected, abs=5e-4), name


def test_images_and_patients(page, folder):
    manifest = pd.read_parquet(folder / "manifest.parquet")
    counts = pd.crosstab(manifest["label"], manifest["split"])
    classes, flow = page["classes"].set_index("Class"), page["flow-figure-numbers"]
    for split, title in TITLES.items():
        part = manifest[manifest["split"] == split]
        assert classes.loc[list("abc"), title].astype(int).tolist() == counts[split].tolist()
        both = [str(len(part)), str(part["group"].nunique())]
        assert flow.set_index("Step").loc[title].tolist() == both
