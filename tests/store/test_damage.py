"""What is damaged has a sentence and a way out; what was run is what is shown."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import vitrial
from tiny_study import PROTOCOL, invoke, predictions_of, sentence
from vitrial.errors import VitrialError
from vitrial.layout import (
    ATTEMPTS,
    CHECKPOINT,
    CHECKPOINT_BEFORE,
    METRICS,
    PREDICTIONS,
    RESULT,
    STAGE,
)
from vitrial.records import DamagedError
from vitrial.store.run_folder import RunFolder
from vitrial.train import fit


@pytest.fixture(scope="module")
def finished(tmp_path_factory, pixel_caches):
    """A study of two arms; not to be changed."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "tiny.yaml").write_text(PROTOCOL)
    result = invoke("run", root / "tiny.yaml", "--out", root / "study", "--cache", pixel_caches)
    assert result.exit_code == 0, result.output
    return root / "study"


@pytest.fixture
def study(finished, tmp_path):
    """A copy that may be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "study"))


def run_of(study, arm="random"):
    (folder,) = [f for s, f in vitrial.load_study(study).runs() if s.initialization == arm]
    return folder.path


def assert_same_predictions(study, other):
    found, expected = predictions_of(study), predictions_of(other)
    assert found.keys() == expected.keys()
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table, check_exact=True)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["flipped", "deleted"])
def test_damaged_predictions_are_never_shown_and_are_computed_anew(
    finished, study, pixel_caches, damage, monkeypatch
):
    path = run_of(study) / PREDICTIONS
    if damage == "flipped":
        flip(path, path.stat().st_size // 3)
    else:
        path.unlink()
    for command in ("table", "report"):
        said = sentence(invoke(command, study))
        assert PREDICTIONS in said
        assert "`vitrial run" in said
    monkeypatch.setattr("vitrial.study.run.fit", None)  # the weights are whole
    result = invoke("run", study, "--cache", pixel_caches)
    assert result.exit_code == 0, result.output
    assert "recomputed from the weights" in result.output
    assert_same_predictions(study, finished)


@pytest.mark.slow
def test_every_damaged_file_of_a_run_is_said_by_status_and_repaired(finished, study, pixel_caches):
    folder = run_of(study, "random+dino")
    weights = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(weights[:1000])
    (folder / STAGE).write_text("{}")
    (run_of(study) / RESULT).write_text("")
    status = invoke("status", study).output
    assert "2 damaged" in status
    result = invoke("run", study, "--cache", pixel_caches)
    assert result.exit_code == 0, result.output
    assert (folder / "weights.safetensors").read_bytes() == weights
    assert (folder / "weights.safetensors.damaged").stat().st_size == 1000
    assert_same_predictions(study, finished)
    assert "3 done, 0 running, 0 failed, 0 left" in invoke("status", study).output


@pytest.mark.slow
def test_a_result_without_its_checksum_in_order_is_not_believed(study):
    path = run_of(study) / RESULT
    path.write_text(path.read_text().replace('"parameters": ', '"parameters": 1'))
    assert "result.json is damaged" in sentence(invoke("table", study))


def interrupted(root, pixel_caches, monkeypatch):
    """A study whose first run was interrupted after its second epoch."""
    (root / "tiny.yaml").write_text(PROTOCOL)
    save, calls = fit.save_checkpoint, []

    def saving(*arguments):
        save(*arguments)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fit, "save_checkpoint", saving)
        result = invoke("run", root / "tiny.yaml", "--out", root / "s", "--cache", pixel_caches)
    assert result.exit_code == 130
    (checkpoint,) = (root / "s" / "runs").glob(f"*/{CHECKPOINT}")
    return root / "s", checkpoint.parent


DAMAGE = {
    "one bit": lambda path: flip(path, path.stat().st_size // 2),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:10_000]),
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: path.write_bytes(b"PK not a checkpoint"),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    damage, finished, tmp_path, pixel_caches, monkeypatch
):
    study, folder = interrupted(tmp_path, pixel_caches, monkeypatch)
    DAMAGE[damage](folder / CHECKPOINT)
    trained = []
    train_epoch = fit.train_epoch
    monkeypatch.setattr(
        fit,
        "train_epoch",
        lambda *arguments: trained.append(len(arguments[3])) or train_epoch(*arguments),
    )
    result = invoke("run", study, "--cache", pixel_caches)
    assert result.exit_code == 0, result.output
    assert f"{CHECKPOINT} is " in result.output
    assert "resumes from the one before" in result.output
    assert trained[:2] == [1, 2], "the checkpoint of the first epoch was not used"
    assert (folder / f"{CHECKPOINT}.damaged").exists()
    assert_same_predictions(study, finished)


@pytest.mark.slow
def test_with_both_checkpoints_run_and_metrics_damaged_a_run_begins_again(
    finished, tmp_path, pixel_caches, monkeypatch
):
    study, folder = interrupted(tmp_path, pixel_caches, monkeypatch)
    for name in (CHECKPOINT, CHECKPOINT_BEFORE, STAGE, ATTEMPTS, METRICS):
        (folder / name).write_bytes(b"{}")
    assert invoke("status", study).exit_code == 0
    assert f"{METRICS} is damaged" in vitrial.load_study(study).status()["why"][0]
    result = invoke("run", study, "--cache", pixel_caches)
    assert result.exit_code == 0, result.output
    assert_same_predictions(study, finished)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["study.json", "manifest.parquet", "problems.csv"])
@pytest.mark.parametrize("damage", ["flipped", "deleted"])
def test_a_studys_own_files_are_written_anew(name, damage, finished, study, pixel_caches):
    path = study / name
    if damage == "flipped":
        flip(path, path.stat().st_size // 2)
    else:
        path.unlink()
    said = sentence(invoke("report", study))
    assert name in said
    assert "`vitrial run" in said
    result = invoke("run", study, "--cache", pixel_caches)
    assert result.exit_code == 0, result.output
    assert path.read_bytes() == (finished / name).read_bytes()


@pytest.mark.slow
def test_a_damaged_audit_is_said_and_done_again(study, pixel_caches):
    (study / "audit" / "audit.json").write_text('{"name": 1}')
    assert "audit.json is damaged" in sentence(invoke("report", study))
    assert invoke("run", study, "--cache", pixel_caches).exit_code == 0
    assert invoke("report", study).exit_code == 0


@pytest.mark.slow
def test_what_was_run_is_shown_whatever_has_become_of_the_protocol(study, pixel_caches):
    before = invoke("table", study, "--format", "csv").output
    path = study / "protocol.yaml"
    text = path.read_text()
    path.write_text("# a remark\n" + text)
    assert vitrial.load_study(study).notes == ()
    path.write_text(text.replace("endpoint: balanced_accuracy", "endpoint: roc_auc"))
    result = invoke("table", study, "--format", "csv")
    assert result.exit_code == 0
    assert result.stdout == before.replace(result.stderr, "")
    assert "is not the protocol that was run" in result.stderr
    assert "--out ANOTHER_FOLDER" in result.stderr
    assert invoke("report", study).exit_code == 0
    page = (study / "report" / "index.html").read_text(encoding="utf-8")
    assert "endpoint: balanced_accuracy" in page
    assert "endpoint: roc_auc" not in page
    result = invoke("run", study, "--cache", pixel_caches)
    assert result.exit_code == 0, result.output
    assert path.read_text() == text
    assert "roc_auc" in (study / "protocol.yaml.edited").read_text()


@pytest.mark.slow
def test_damaged_weights_are_neither_explained_nor_exported_nor_started_from(
    study, tmp_path, pixel_caches
):
    weights = run_of(study) / "weights.safetensors"
    flip(weights, weights.stat().st_size // 2)
    export = ("export", weights.parent, "--out", tmp_path / "out")
    for command in (export, ("explain", study, "--cache", pixel_caches)):
        assert "weights.safetensors is damaged" in sentence(invoke(*command))
    (teacher,) = (study / "pretrained").glob("*/weights.safetensors")
    flip(teacher, teacher.stat().st_size // 2)
    with pytest.raises(DamagedError):
        RunFolder(teacher.parent).weights()


@pytest.mark.slow
def test_damaged_explanations_are_said_and_made_anew(study, pixel_caches):
    command = ("explain", study, "--images", 2, "--method", "gradcam", "--no-faithful")
    assert invoke(*command, "--cache", pixel_caches).exit_code == 0
    folder = study / "explanations"
    measures = pd.read_parquet(folder / "measures.parquet")
    for name in ("measures.parquet", "sanity.parquet", "shown.npz", "explanations.json"):
        flip(folder / name, (folder / name).stat().st_size // 2)
        said = sentence(invoke("report", study))
        assert name in said
        assert "`vitrial explain" in said
        part = next((folder / "parts").glob("*.parquet"))
        part.write_bytes(part.read_bytes()[:100])
        assert invoke(*command, "--cache", pixel_caches).exit_code == 0
    found = pd.read_parquet(folder / "measures.parquet")
    timed = "milliseconds"
    pd.testing.assert_frame_equal(found.drop(columns=timed), measures.drop(columns=timed))


@pytest.mark.slow
def test_a_study_respects_the_umask_and_holds_no_leftovers(tmp_path, pixel_caches):
    (tmp_path / "tiny.yaml").write_text(PROTOCOL)
    before = os.umask(0o077)
    try:
        out = ("--out", tmp_path / "s", "--cache", pixel_caches)
        assert invoke("run", tmp_path / "tiny.yaml", *out).exit_code == 0
        (run,) = (tmp_path / "s" / "runs").glob("*random-1*")
        invoke("export", run, "--out", tmp_path / "out")
    finally:
        os.umask(before)
    paths = [*(tmp_path / "s").rglob("*"), *(tmp_path / "out").rglob("*")]
    assert [path for path in paths if path.stat().st_mode & 0o077] == []
    assert [path for path in paths if path.name.startswith(".")] == []


@pytest.mark.slow
def test_leftovers_of_killed_processes_are_removed_everywhere(study, pixel_caches):
    code = "from vitrial.atomic import partial_prefix; print(partial_prefix())"
    prefix = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
    folders = [study, study / "audit", study / "report", run_of(study)]
    for folder in folders:
        (folder / f"{prefix}x").mkdir()
        (folder / f"{prefix}x" / ".tmpabc").touch()
    assert invoke("run", study, "--cache", pixel_caches).exit_code == 0
    assert not list(study.rglob(".partial-*"))


def test_a_record_says_what_is_wrong_and_an_old_one_is_believed(tmp_path):
    from vitrial.records import check_bytes, read_record, write_record

    (tmp_path / "other").write_bytes(b"content")
    path = tmp_path / "record.json"
    write_record(path, {"score": 0.1 + 0.2, "nan": float("nan")}, ["other"])
    record = read_record(path, "way out", ("score",))
    assert record["score"] == 0.1 + 0.2
    check_bytes(tmp_path / "other", record, "way out")
    (tmp_path / "other").write_bytes(b"contenu")
    with pytest.raises(DamagedError, match="other is damaged: way out"):
        check_bytes(tmp_path / "other", record, "way out")
    (tmp_path / "other").unlink()
    with pytest.raises(DamagedError, match="other is missing: way out"):
        check_bytes(tmp_path / "other", record, "way out")
    path.write_text(path.read_text().replace("0.3", "0.4"))
    with pytest.raises(DamagedError, match="damaged: way out"):
        read_record(path, "way out")
    path.write_text("")
    with pytest.raises(DamagedError, match="empty: way out"):
        read_record(path, "way out")
    path.write_text(json.dumps({"score": 1}))
    assert read_record(path, "way out", ("score",)) == {"score": 1}
    with pytest.raises(DamagedError):
        read_record(path, "way out", ("epochs",))


def test_a_study_of_another_version_is_said_to_be_one(tmp_path):
    from vitrial.records import write_record

    facts = {"stages": [], "classes": [], "fingerprint": "", "split": "", "data": ""}
    facts["protocol"] = ""
    write_record(tmp_path / "study.json", {**facts, "registered": {"name": "x", "novel": 1}})
    with pytest.raises(VitrialError, match="another version of vitrial"):
        vitrial.load_study(tmp_path)
