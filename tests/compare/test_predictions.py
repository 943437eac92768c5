import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from typer.testing import CliRunner

from vitrial import compare_predictions
from vitrial.cli import app
from vitrial.compare.simulation import draw_logits, draw_test_set
from vitrial.errors import DataError


def tables(qualities, seed=0, images=200, shares=(0.5, 0.5)):
    generator = np.random.default_rng(seed)
    test = draw_test_set(images, shares, (1, 3), generator)
    rows = {"image": np.arange(len(test.targets)), "target": test.targets, "group": test.groups}
    return [
        pd.DataFrame(rows | {f"logit_{c}": logits[:, c] for c in range(len(shares))})
        for logits in draw_logits(test, qualities, generator)
    ]


def problems_of(a, b, endpoint="roc_auc"):
    with pytest.raises(DataError) as caught:
        compare_predictions(a, b, endpoint=endpoint, margin=0.02)
    return " ".join(f"{p.where} {p.what}" for p in caught.value.problems) or str(caught.value)


def test_a_clear_difference_is_superior_and_its_mirror_inferior():
    runs = tables([3, 3.1, 2.9, 1, 1.1, 0.9])
    found = compare_predictions(runs[:3], runs[3:], endpoint="auc", margin=0.02)
    assert found.verdict == "superior"
    assert found.probability_of_improvement == 1.0
    assert found.low < found.difference < found.high
    mirror = compare_predictions(runs[3:], runs[:3], endpoint="auc", margin=0.02)
    assert mirror.verdict == "inferior"
    assert mirror.low == pytest.approx(-found.high)
    assert mirror.p_value == pytest.approx(found.p_value)


def test_lower_is_better_for_log_loss():
    runs = tables([3, 3.1, 2.9, 1, 1.1, 0.9])
    found = compare_predictions(runs[:3], runs[3:], endpoint="log_loss", margin=0.02)
    assert found.difference < 0
    assert found.verdict == "superior"


def test_the_same_runs_are_equivalent():
    runs = tables([2, 2.1, 1.9])
    found = compare_predictions(runs, runs, endpoint="recall", margin=0.05)
    assert found.difference == 0
    assert found.probability_of_improvement == 0.5
    assert found.p_value == pytest.approx(1.0)


def test_probabilities_and_scores_say_what_logits_do():
    runs = tables([2, 2.2, 1, 1.3])
    by_logits = compare_predictions(runs[:2], runs[2:], endpoint="recall", margin=0.02)

    def probability(table):
        p = softmax(table[["logit_0", "logit_1"]], axis=1)
        kept = table[["image", "target", "group"]]
        return kept.assign(probability_0=p[:, 0], probability_1=p[:, 1]), kept.assign(score=p[:, 1])

    for kind in (0, 1):
        same = [probability(table)[kind] for table in runs]
        found = compare_predictions(same[:2], same[2:], endpoint="recall", margin=0.02)
        assert (found.low, found.high) == pytest.approx((by_logits.low, by_logits.high))


def test_the_order_of_rows_is_irrelevant():
    runs = tables([2, 2.2, 1, 1.3])
    found = compare_predictions(runs[:2], runs[2:], endpoint="kappa", margin=0.02)
    mixed = [run.sample(frac=1, random_state=i) for i, run in enumerate(runs)]
    again = compare_predictions(mixed[:2], mixed[2:], endpoint="kappa", margin=0.02)
    assert (again.low, again.high) == pytest.approx((found.low, found.high))


def test_one_run_of_each_speaks_of_these_models():
    runs = tables([2, 1])
    found = compare_predictions(runs[:1], runs[1:], endpoint="auc", margin=0.02)
    assert found.sentence().startswith("Of these two trained models")
    assert np.isinf(found.df)


def test_constant_predictions_have_an_answer():
    runs = tables([2, 1])
    constant = [run.assign(logit_0=0.0, logit_1=1.0) for run in runs]
    found = compare_predictions(constant[:1], constant[1:], endpoint="kappa", margin=0.02)
    assert found.difference == 0
    assert found.verdict == "equivalent"


def test_a_class_of_one_patient_is_undecided_and_said():
    runs = tables([2, 2.1, 1, 1.1], shares=(0.4, 0.3, 0.3))
    one = [run.assign(group=run["group"].where(run["target"] != 2, 999)) for run in runs]
    found = compare_predictions(one[:2], one[2:], endpoint="recall", margin=0.02)
    assert found.verdict == "inconclusive"
    assert "more patients of that class" in found.report()


def test_command_reads_files_folders_and_patterns(tmp_path):
    runs = tables([3, 3.1, 1, 1.2])
    for name, run in zip(
        ("vit-1.csv", "vit-2.csv", "cnn/1.parquet", "cnn/2.parquet"), runs, strict=True
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        run.to_csv(path, index=False) if path.suffix == ".csv" else run.to_parquet(path)
    a, b = str(tmp_path / "vit-*.csv"), str(tmp_path / "cnn")
    options = ["--endpoint", "auc", "--margin", "0.02"]
    result = CliRunner().invoke(app, ["compare", a, b, *options])
    assert result.exit_code == 0, result.output
    expected = compare_predictions(runs[:2], runs[2:], endpoint="auc", margin=0.02)
    assert expected.sentence("vit-*", "cnn") in result.stdout
    result = CliRunner().invoke(app, ["compare", a, str(tmp_path / "none.csv"), *options])
    assert result.exit_code == 1
    assert "no such file" in result.stderr
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    result = CliRunner().invoke(app, ["compare", a, str(tmp_path / "broken.parquet"), *options])
    assert result.exit_code == 1
    assert "Predictions cannot be read" in result.output


def test_everything_wrong_is_said():
    good, other = tables([2, 1])
    assert "other images" in problems_of([good], [other.iloc[1:]])
    assert "disagrees" in problems_of([good], [other.assign(target=1 - other["target"])])
    assert "disagrees" in problems_of([good], [other.assign(group=0)])
    assert "no finite numbers" in problems_of([good], [other.assign(logit_0=np.nan)])
    assert "one class alone" in problems_of([good], [other.assign(target=1)])
    assert "no column target" in problems_of([good], [other.drop(columns="target")])
    assert "no predictions" in problems_of([good], [other[["image", "target", "group"]]])
    assert "images twice" in problems_of([good], [pd.concat([other, other])])
    assert "class indices" in problems_of([good], [other.assign(target=0.5)])
    assert "no rows" in problems_of([good], [other.iloc[:0]])
    assert "no file" in problems_of([good], [])
    assert "did you mean" in problems_of([good], [other], endpoint="roc_au")
    both = problems_of([good.assign(target=1)], [other.assign(logit_0=np.nan)])
    assert "one class alone" in both
    assert "no finite numbers" in both
