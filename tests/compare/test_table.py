import io
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from vitrial.compare.scores import run_scores
from vitrial.compare.table import arm_table, caption, chance, render, unlike
from vitrial.errors import VitrialError

ARMS = [("random", "resnet50", "resnet50 / random")]
COST = {
    "parameters": 25_000_000,
    "training_seconds": 120.0,
    "pretraining_seconds": 600.0,
    "pretraining_share_seconds": 60.0,
    "total_seconds": 180.0,
    "images_per_second": 20.0,
    "weights": "tv_in1k",
    "weights_sha256": "ab12",
    "precision": "32-true",
    "device": "x86_64",
}


def run_of(backbone, repetition, right):
    """A run whose test predictions are right for the first `right` of 10 images of 2 classes."""
    target = np.arange(10) % 2
    predicted = np.where(np.arange(10) < right, target, 1 - target)
    predictions = pd.DataFrame(
        {
            "split": "test",
            "target": target,
            "knn": target,
            "logit_0": 1.0 - predicted,
            "logit_1": 1.0 * predicted,
        }
    )
    identity = {
        "arm": f"{backbone} / random",
        "backbone": backbone,
        "initialization": "random",
        "repetition": repetition,
    }
    return identity, predictions, COST


@pytest.fixture
def scores():
    return run_scores([run_of("resnet50", k, right) for k, right in enumerate((6, 8, 10))])


def test_median_and_sample_deviation_come_from_predictions(scores):
    row = arm_table(scores, "accuracy", ARMS).iloc[0]
    assert row["median"] == pytest.approx(0.8)
    assert row["std"] == pytest.approx(np.std([0.6, 0.8, 1.0], ddof=1))
    assert (row["lowest"], row["highest"], row["repetitions"]) == (0.6, 1.0, 3)
    assert row["knn"] == 1


def test_rows_are_by_initialization_then_backbone_in_the_protocols_order():
    runs, arms = [], [("b", "vit"), ("a", "vit"), ("b", "cnn"), ("a", "cnn")]
    for start, backbone in reversed(arms):
        identity, predictions, cost = run_of(backbone, 1, 8)
        named = {"initialization": start, "arm": f"{backbone} / {start}"}
        runs.append((identity | named, predictions, cost))
    table = arm_table(run_scores(runs), "accuracy", [(*a, f"{a[1]} / {a[0]}") for a in arms])
    rows = table[["initialization", "backbone"]].to_numpy().tolist()
    assert rows == [["b", "vit"], ["b", "cnn"], ["a", "vit"], ["a", "cnn"]]


def test_arms_that_differ_by_their_recipe_alone_have_rows_of_their_own():
    runs = []
    for arm, right in (("slow", 6), ("fast", 9)):
        identity, predictions, cost = run_of("resnet50", 1, right)
        runs.append((identity | {"arm": arm}, predictions, cost))
    arms = [("random", "resnet50", "slow"), ("random", "resnet50", "fast")]
    table = arm_table(run_scores(runs), "accuracy", arms)
    assert table["median"].tolist() == [0.6, 0.9]
    assert "resnet50 (fast)" in render(table, "accuracy", "t", "markdown")


def test_a_single_repetition_has_no_deviation():
    table = arm_table(run_scores([run_of("resnet50", 1, 9)]), "accuracy", ARMS)
    text = render(table, "accuracy", "title", "markdown")
    assert "0.900" in text
    assert "±" not in text


def test_csv_keeps_every_digit(scores):
    table = arm_table(scores, "f1", ARMS)
    read = pd.read_csv(io.StringIO(render(table, "f1", "", "csv")))
    np.testing.assert_array_equal(read["median"], table["median"])


def test_latex_escapes_and_markdown_aligns(scores):
    table = arm_table(scores, "accuracy", ARMS).replace("resnet50", "deit_small")
    assert r"deit\_small" in render(table, "accuracy", "100 %", "latex")
    lines = render(table, "accuracy", "t", "markdown").splitlines()[2:]
    assert len({line.count("|") for line in lines}) == 1


def test_unknown_format_lists_the_known(scores):
    with pytest.raises(VitrialError, match="markdown"):
        render(arm_table(scores, "accuracy", ARMS), "accuracy", "", "word")


def test_an_arm_without_runs_stays_in_the_table(scores):
    table = arm_table(scores, "accuracy", [*ARMS, ("imagenet", "resnet50", "resnet50 / imagenet")])
    assert table["repetitions"].tolist() == [3, 0]
    last = render(table, "accuracy", "t", "markdown").splitlines()[-1]
    assert last.startswith("| imagenet | resnet50 | - | - | 0 |")
    nothing = arm_table(run_scores([]), "roc_auc", ARMS)
    assert nothing["median"].isna().all()
    assert render(nothing, "roc_auc", "nothing", "csv")


def test_every_form_says_the_weights_and_what_a_run_cost_with_its_pretraining(scores):
    table = arm_table(scores, "accuracy", ARMS)
    row = table.iloc[0]
    minutes = [row[n] for n in ("minutes", "pretraining_minutes", "pretraining_share_minutes",
                                "total_minutes")]  # fmt: skip
    assert minutes == [2, 10, 1, 3]
    for form in ("markdown", "latex", "csv", "terminal"):
        shown = render(table, "accuracy", "title", form)
        if form == "terminal":
            console = Console(width=80, file=io.StringIO())
            console.print(shown)
            shown = console.file.getvalue()
        assert re.search(r"tv\\?_in1k", shown), form
        assert "3.0" in shown, form


def test_lower_is_better_is_said():
    assert "lower is better; chance is 1.386" in caption("data", "log_loss", 4)
    assert "lower" not in caption("data", "roc_auc", 4)


VERSIONS = {"vitrial": "0.2.0+1", "torch": "2.9.0"}
RECORD = {
    "arm": "a",
    "precision": "32-true",
    "device": "x86_64",
    "program": VERSIONS,
    "weights_sha256": None,
}


def test_in_what_runs_are_unlike():
    assert unlike([RECORD, RECORD | {"arm": "b", "weights_sha256": "1"}]) == []
    precision, device = unlike(
        [RECORD, RECORD | {"arm": "b", "precision": "bf16-mixed", "device": "NVIDIA H100"}]
    )
    assert "in different precisions" in precision
    assert precision.endswith("32-true: a; bf16-mixed: b")
    assert "on different machines" in device
    assert device.endswith("x86_64: a; NVIDIA H100: b")
    (files,) = unlike([RECORD | {"weights_sha256": sha} for sha in ("1", "2")])
    assert "different files: a" in files
    (program,) = unlike([RECORD, RECORD | {"arm": "b", "program": VERSIONS | {"torch": "2.9.1"}}])
    assert "by different versions of the program" in program
    assert program.endswith("torch 2.9.0: a; torch 2.9.1: b")
    assert unlike([]) == []


def test_chance():
    assert chance("balanced_accuracy", 4) == 0.25
    assert chance("accuracy", 4) is None


@pytest.mark.parametrize(
    "backbone", ["xcit_nano_12_p16_224", "vit_small_patch16_224.augreg_in21k_ft_in1k"]
)
def test_no_name_and_no_figure_is_broken_at_80_columns(scores, backbone):
    start = "transfer:fundus+dino"
    arms = [(start, backbone, f"{backbone} / {start}")]
    named = {"initialization": start, "backbone": backbone, "arm": arms[0][2]}
    of_arm = scores.assign(**named, weights=None)
    console = Console(width=80, file=io.StringIO())
    console.print(render(arm_table(of_arm, "accuracy", arms), "accuracy", "title", "terminal"))
    for whole in (start, backbone, "0.800 ± 0.200"):
        assert whole in console.file.getvalue()
