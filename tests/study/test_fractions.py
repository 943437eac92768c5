"""Runs on nested parts of the training images, from the protocol to the page."""

import html

import pytest
from typer.testing import CliRunner

import vitrial
from vitrial.cli import app
from vitrial.protocol import Protocol
from vitrial.report.page import write_report
from vitrial.store.data_size import data_size
from vitrial.study.datasets import chosen, prepare_datasets
from vitrial.study.execute import run

CONTENT = {
    "name": "sizes",
    "data": {"source": "phantom", "patients": 60, "size": 32},
    "image": {"resize": 32},
    "augment": {"crop": 32},
    "arms": [
        {"backbone": "test_efficientnet"},
        {"backbone": "test_vit", "initialization": "random+byol"},
    ],
    "recipe": {"batch_size": 16, "warmup_steps": 0, "epochs": 1, "precision": "fp32"},
    "byol": {"epochs": 1, "warmup_epochs": 0, "batch_size": 8, "hidden_dim": 8, "output_dim": 8},
    "endpoint": "balanced_accuracy",
    "fractions": [0.4, 0.7, 1.0],
    "repetitions": 2,
}


@pytest.fixture(scope="module")
def study(tmp_path_factory, pixel_caches):
    protocol = Protocol.model_validate(CONTENT)
    return run(protocol, tmp_path_factory.mktemp("sizes") / "study", cache=pixel_caches)


def test_every_arm_is_trained_on_every_part(study):
    runs = [(run.arm, run.fraction, run.repetition) for run, _ in study.runs_of_all_sizes()]
    arms = ("test_efficientnet / random", "test_vit / random+byol")
    expected = {(a, f, r) for a in arms for f in (0.4, 0.7, 1.0) for r in (1, 2)}
    assert set(runs) == expected
    assert len(runs) == len(expected)
    assert runs[:4] == [run for run in runs if run[1] == 1], "the whole data set comes first"


def test_a_pretraining_and_the_runs_that_start_from_it_see_the_same_part(study, pixel_caches):
    datasets = prepare_datasets(study.protocol, pixel_caches)
    seen: dict[float, set[frozenset[str]]] = {}
    for entry in study.facts.stages:
        stage = vitrial.store.run_folder.RunFolder(study.path / entry.folder).stage()
        images = chosen(stage, datasets).rows_of("train")["image"]
        seen.setdefault(entry.fraction, set()).add(frozenset(images))
    (smallest,), (middle,), (whole,) = (seen[fraction] for fraction in (0.4, 0.7, 1.0))
    assert smallest < middle < whole


def test_table_and_verdict_are_of_all_training_images(study):
    assert study.table()["repetitions"].tolist() == [2, 2]
    alone = Protocol.model_validate(CONTENT | {"fractions": [1.0]})
    keys = {run.folder for run, _ in study.runs()}
    again = run(alone, study.path.parent / "alone", cache=study.path.parent / "cache")
    assert {run.folder for run, _ in again.runs()} == keys, "other sizes change no run"


def test_curves_are_computed_from_predictions_and_shown(study):
    found = data_size(study.protocol, study.finished())
    table = found.table()
    assert table.groupby("arm").size().tolist() == [3, 3]
    assert (table["low"] <= table["mean"]).all()
    assert (table["mean"] <= table["high"]).all()
    whole = table.loc[table.groupby("arm")["images"].idxmax()].set_index("arm")["mean"]
    scores = study.scores().query("split == 'test'").groupby("arm")["balanced_accuracy"].mean()
    assert whole.to_dict() == pytest.approx(scores.to_dict())
    page = html.unescape(write_report(study).read_text(encoding="utf-8"))
    assert "<h2>Data size</h2>" in page
    said = CliRunner().invoke(app, ["verdict", str(study.path)])
    assert said.exit_code == 0, said.output
    for sentence in found.sentences():
        assert sentence in page
        assert " ".join(sentence.split()) in " ".join(said.output.split())
    assert "3 sizes" in found.sentences()[-1], "too few for a power law"


def test_a_study_of_one_size_has_no_curve(study):
    alone = vitrial.load_study(study.path.parent / "alone")
    assert data_size(alone.protocol, alone.finished()) is None
    assert "Data size" not in write_report(alone).read_text(encoding="utf-8")
