"""A study explained end to end, on images and masks of every odd kind."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import vitrial
from odd_study import ODD
from vitrial.cli import app
from vitrial.errors import VitrialError
from vitrial.explain.images import drawn_images, study_data
from vitrial.explain.run import explain_study
from vitrial.explain.shown import read_shown


@pytest.fixture(scope="module")
def explained(odd_study, pixel_caches):
    return explain_study(odd_study, None, cache=pixel_caches, listen=lambda event: None)


def test_every_method_and_baseline_of_every_arm_is_measured_on_the_same_images(
    odd_study, explained
):
    measures = pd.read_parquet(explained / "measures.parquet")
    tested = odd_study.manifest().query("split == 'test'")["image"]
    for _, table in measures.groupby(["arm", "method"]):
        assert sorted(table["image"]) == sorted(tested)
    of = measures.groupby("arm")["method"].unique().map(list)
    pixelwise = ["input_gradient", "integrated_gradients"]
    assert of["test_resnet / random"] == [
        *("gradcam", *pixelwise),
        *("random 1x1", "random 32x32", "center"),
    ]
    assert of["test_vit / random"] == [
        *("gradcam", "attention", "rollout", "attribution"),
        *(*pixelwise, "random 2x2", "random 32x32", "center"),
    ]
    family = measures.groupby("backbone")["family"].unique().map(list).to_dict()
    assert family == {"test_resnet": ["cnn"], "test_vit": ["transformer"]}
    for name in ("deletion", "insertion", "entropy", "probability"):
        assert measures[name].between(0, 1 + 1e-6).all(), name


def test_odd_masks_are_measured_left_out_or_told(explained, odd_study):
    measures = pd.read_parquet(explained / "measures.parquet").query("method == 'center'")
    kind = dict(enumerate(("none", "missing", "damaged", *ODD)))
    kinds = measures["image"].str.removesuffix(".png").astype(int) // 2 % 6
    by_kind = measures.assign(kind=kinds.map(kind)).groupby("kind")
    assert {"none", "other-size", "empty"} <= set(by_kind.groups)
    for name, table in by_kind:
        measured = table[["pointing", "energy", "precision", "iou"]].notna()
        assert (measured.all() if name == "other-size" else ~measured.any()).all(), name
        if name in ("none", "missing", "damaged"):
            assert table["lesion"].isna().all()
        else:
            expected = {"empty": 0, "full": 1, "other-size": np.pi * 0.09 / 0.64}[name]
            np.testing.assert_allclose(table["lesion"], expected, atol=0.03)
    told = pd.read_csv(odd_study.path / "problems.csv")
    damaged = {f"{i}.png" for i in range(60) if i // 2 % 6 == 2}
    assert set(told.loc[told["what"].str.contains("cannot be used"), "where"]) == damaged


def test_what_is_measured_is_kept_and_an_interrupted_call_goes_on(
    odd_study, explained, pixel_caches
):
    parts = sorted((explained / "parts").glob("*.parquet"))
    before = {path: path.stat().st_mtime_ns for path in parts}
    lost = parts[3]
    content = pd.read_parquet(lost).drop(columns="milliseconds", errors="ignore")
    lost.unlink()
    again = explain_study(odd_study, None, cache=pixel_caches, listen=lambda event: None)
    assert again == explained
    after = {
        path: path.stat().st_mtime_ns for path in sorted((explained / "parts").glob("*.parquet"))
    }
    assert list(after) == parts
    assert [path for path in parts if after[path] != before[path]] == [lost]
    found = pd.read_parquet(lost).drop(columns="milliseconds", errors="ignore")
    pd.testing.assert_frame_equal(found, content)


def test_the_map_changes_as_the_weights_are_randomized(explained):
    sanity = pd.read_parquet(explained / "sanity.parquet")
    first = sanity[sanity["step"] == 0]
    assert (first["correlation"] == 1).all()
    steps = sanity.groupby(["arm", "method"])["step"].max()
    assert steps["test_resnet / random"].unique().tolist() == [6]
    assert steps["test_vit / random"].unique().tolist() == [8]


def test_figure_1_has_an_image_of_each_class_and_ones_that_a_model_gets_wrong(explained):
    shown = read_shown(explained / "shown.npz")
    assert {image.label for image in shown} == {"light", "dark"}
    measures = pd.read_parquet(explained / "measures.parquet")
    wrong = set(measures.loc[measures["answer"] != measures["label"], "image"])
    assert len(wrong & {image.image for image in shown}) >= min(2, len(wrong))
    for image in shown:
        assert image.pixels.shape == (32, 32, 1)
        assert [found.method for found in image.maps] == ["gradcam", "attention"]
        answers = measures.set_index(["image", "arm", "method"])["answer"]
        for found in image.maps:
            assert answers[image.image, found.arm, found.method] == found.answer


def test_images_of_ones_own_are_explained_a_large_one_too(
    odd_study, tmp_path, pixel_caches, monkeypatch
):
    monkeypatch.setenv("VITRIAL_CACHE", str(pixel_caches))
    large = np.random.default_rng(0).integers(0, 255, (2000, 2500, 3), dtype=np.uint8)
    Image.fromarray(large).save(tmp_path / "large.jpg")
    command = ["explain", str(odd_study.path), "--images", str(tmp_path / "large.jpg")]
    result = CliRunner().invoke(app, [*command, "--no-faithful"])
    assert result.exit_code == 0, result.output
    folder = odd_study.path / "explanations-large"
    (shown,) = read_shown(folder / "shown.npz")
    assert (shown.image, shown.label, shown.mask) == ("large.jpg", "", None)
    assert pd.read_parquet(folder / "measures.parquet")["deletion"].isna().all()
    assert (folder / "figure1.png").is_file()


def test_the_command_prints_the_tables_and_writes_figure_and_report(
    odd_study, explained, pixel_caches
):
    command = ["explain", str(odd_study.path), "--images", "all", "--cache", str(pixel_caches)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    words = ("integrated_gradients", "attention", "pointing", "insertion", "random 2x2", "alone")
    for word in words:
        assert word in result.output, result.output
    assert all(len(line) <= 80 for line in result.output.splitlines() if "/" not in line)
    assert (explained / "figure1.png").read_bytes().startswith(b"\x89PNG")
    assert (explained / "figure1.pdf").read_bytes().startswith(b"%PDF")
    page = (odd_study.path / "report" / "index.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'id="explanations-data">(.*?)</script>', page)
    viewed = {image["name"]: len(image["maps"]) for image in json.loads(data)["images"]}
    assert viewed == {image.image: 2 for image in read_shown(explained / "shown.npz")}
    assert "https://" not in page


def test_arms_without_what_a_method_reads_are_left_out(odd_study, pixel_caches, tmp_path):
    shutil.copytree(odd_study.path, tmp_path / "copy")
    study = vitrial.load_study(tmp_path / "copy")
    asked = {"cache": pixel_caches, "listen": lambda event: None, "faithful": False}
    folder = explain_study(study, 4, methods=["rollout"], **asked)
    measures = pd.read_parquet(folder / "measures.parquet")
    assert measures["backbone"].unique().tolist() == ["test_vit"]
    assert measures["method"].unique().tolist() == ["rollout", "random 2x2", "center"]
    assert [found.method for found in read_shown(folder / "shown.npz")[0].maps] == ["rollout"]
    only_cnn = replace(study.facts, stages=study.facts.stages[:1])
    with pytest.raises(VitrialError, match="None of the arms has what rollout reads"):
        explain_study(
            vitrial.Study(study.path, study.protocol, only_cnn), 4, methods=["rollout"], **asked
        )


def test_what_cannot_be_explained_is_told_in_a_sentence(odd_study, tmp_path, pixel_caches):
    def output(*options):
        result = CliRunner().invoke(app, ["explain", str(odd_study.path), *options])
        assert result.exit_code == 1
        return " ".join(result.output.split())

    assert "did you mean gradcam" in output("--method", "grad-cam")
    assert "neither a number of test images" in output("--images", "nowhere")
    assert "no finished run of repetition 3" in output("--repetition", "3")
    shutil.copytree(odd_study.path, tmp_path / "changed")
    facts = replace(odd_study.facts, fingerprint="0" * 12)
    changed = vitrial.Study(tmp_path / "changed", odd_study.protocol, facts)
    with pytest.raises(VitrialError, match="have changed since"):
        explain_study(changed, 4, cache=pixel_caches, listen=lambda event: None)


def test_a_runs_model_is_loaded_as_it_predicted(odd_study, pixel_caches):
    _, folder = odd_study.runs()[1]
    trained = vitrial.load_model(folder.path)
    assert trained.headline == "attention"
    subject = drawn_images(odd_study, study_data(odd_study, None, pixel_caches), 5, None)
    found = trained.maps(subject.pixels(subject.rows), "attention")
    table = folder.predictions().set_index("image").loc[subject.rows["image"]]
    # The head works in float32 there, and at the run's precision here.
    np.testing.assert_allclose(found.logits, table.filter(like="logit_"), atol=0.02)
    with pytest.raises(VitrialError, match="not the folder of a finished run"):
        vitrial.load_model(odd_study.path)
