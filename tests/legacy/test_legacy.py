"""A study that version 0.1 wrote is read, tabled, reported and explained for ever.

`study-0.1.zip` is a finished study of three arms (one pretrained on a source, then by DINO) with
its explanations, as that version left it but for its report, parts and pictures.
"""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import vitrial
from vitrial.cli import app
from vitrial.explain.explained import read_explained
from vitrial.explain.trained import load_model, random_model
from vitrial.export.chosen import choose
from vitrial.export.run import export
from vitrial.legacy import translated

ARCHIVE = Path(__file__).with_name("study-0.1.zip")

# As that version's report printed them: balanced accuracy on the test split, neighbors', error of
# calibration; parameters; minutes of fine-tuning and in total.
TABLE = {
    ("random", "test_efficientnet"): (0.271, 0.229, 0.382, 100_224, 0.00845, 0.00845),
    ("random", "test_vit"): (0.312, 0.333, 0.129, 300_356, 0.00830, 0.00830),
    ("transfer:fundus+dino", "test_efficientnet"): (0.250, 0.125, 0.341, 100_224, 0.00722, 0.0364),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The study, unpacked below a folder of its own."""
    root = (tmp_path_factory.mktemp("legacy") / "study").resolve()
    with zipfile.ZipFile(ARCHIVE) as archive:
        for member in archive.infolist():
            assert (root / member.filename).resolve().is_relative_to(root)
        archive.extractall(root)
    return root


@pytest.fixture(scope="module")
def study(folder):
    return vitrial.load_study(folder)


def test_it_is_opened_without_a_remark_and_all_is_done(study):
    assert study.notes == ()
    assert [str(arm.origin) for arm in study.protocol.arms] == [start for start, _ in TABLE]
    assert study.protocol.dino.global_views[1].solarize == 0.2
    assert study.protocol.recipe.normalize == "data"
    status = study.status()
    assert status["status"].tolist() == ["done"] * 5
    assert status["epochs"].tolist() == [4, 4, 4, 3, 4]
    assert study.stale_runs() == []


def test_its_table_has_the_scores_that_it_printed(study):
    table = study.table().set_index(["initialization", "backbone"])
    assert table.index.tolist() == list(TABLE)
    for arm, (score, knn, error, parameters, minutes, total) in TABLE.items():
        row = table.loc[arm]
        # Half of the last digit printed, and 0.3125, which rounds to either side.
        assert row["median"] == pytest.approx(score, abs=5.1e-4)
        assert row["knn"] == pytest.approx(knn, abs=5.1e-4)
        assert row["calibration_error"] == pytest.approx(error, abs=5.1e-4)
        assert row["parameters"] == parameters
        assert row["minutes"] == pytest.approx(minutes, rel=2e-3)
        assert row["total_minutes"] == pytest.approx(total, rel=2e-3)
        assert row["device"] == "x86_64"


def test_its_caption_says_what_it_shows_and_how_arms_differ(study):
    caption = study.caption()
    assert caption.startswith("phantom-dermoscopy: balanced accuracy on the test split")
    assert "chance is 0.250" in caption
    assert "in different precisions" in caption


def test_its_problems_and_audit_are_read(study):
    problems = study.problems()
    assert problems[0].where == "patient-0000/image-1.png"
    assert problems[0].fix == "name no mask if there is no lesion"
    audit = study.audit()
    assert audit.name == "phantom-dermoscopy"
    assert len(audit.images) == len(study.manifest()) == 120
    assert audit.shortcuts[0].family == "image size"


def test_its_metrics_and_pretraining_are_read(study):
    assert len(study.metrics()) == 12
    (row,) = study.selfsupervision().to_dict("records")
    assert row["epochs"] == 3
    assert np.isfinite([row["first_loss"], row["loss"], row["knn_before"], row["knn"]]).all()


def test_its_explanations_are_read_in_todays_words(folder):
    found = read_explained(folder / "explanations")
    assert {"initialization", "method"} <= {*found.measures}
    assert {"center", "gradcam", "attention"} <= {*found.measures["method"]}
    assert "centre" not in {*found.measures["method"]}
    assert "initialization" in found.sanity
    assert len(found.shown) > 3


def test_its_report_is_written_with_all_sections(study, folder):
    page = vitrial.write_report(study).read_text(encoding="utf-8")
    for words in ("0.271", "phantom-dermoscopy", "transfer:fundus+dino", "center of the image"):
        assert words in page
    printed = pd.read_csv(folder / "report" / "table.csv")
    assert printed["median"].round(3).tolist() == [0.271, 0.312, 0.25]


def test_the_command_line_prints_its_table_and_status(folder):
    table = CliRunner().invoke(app, ["table", str(folder), "--format", "markdown"])
    assert table.exit_code == 0, table.output
    assert "| random | test_efficientnet | - | 0.271 |" in table.output
    status = CliRunner().invoke(app, ["status", str(folder)])
    assert "5 done" in status.output


def test_a_model_of_it_is_loaded_and_exported(study, tmp_path):
    _, folder = study.runs()[0]
    trained = load_model(folder.path)
    assert trained.classes == list(study.facts.classes)
    predictions = folder.predictions()
    assert {"image", "label", "group", "split", "target", "knn", "logit_3"} <= {*predictions}
    pixels = torch.zeros(2, 40, 40, 3, dtype=torch.uint8)
    assert trained.maps(pixels, "gradcam").logits.shape == (2, 4)
    assert sum(p.numel() for p in random_model(folder.path).parameters()) == 100_224
    export(choose(folder.path), ["timm"], tmp_path / "out")
    assert '"num_classes": 4' in (tmp_path / "out" / "config.json").read_text()


@pytest.mark.slow
def test_it_is_explained_anew(folder, tmp_path, pixel_caches):
    copy = shutil.copytree(folder, tmp_path / "study")
    study = vitrial.load_study(copy)
    options = {"methods": ["gradcam"], "faithful": False, "cache": pixel_caches}
    written = vitrial.explain_study(study, 2, listen=lambda event: None, **options)
    assert {*read_explained(written).measures["method"]} >= {"gradcam", "center"}


def test_names_of_the_users_keep_their_spelling():
    old = {"sources": {"labelled": {"labelled": 1}}, "relabel": {"centre": "mend", "mend": "x"}}
    new = {"sources": {"labelled": {"labeled": 1}}, "relabel": {"centre": "mend", "mend": "x"}}
    assert translated(old) == new
