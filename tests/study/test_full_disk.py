"""A disk that is full while a study runs: a sentence, nothing lost, and it goes on afterwards."""

import errno
import os
import shutil
import subprocess

import pandas as pd
import pytest

from tiny_study import PROTOCOL, invoke, predictions_of, sentence
from vitrial.atomic import DiskGoneError
from vitrial.events import EpochEnded
from vitrial.layout import CHECKPOINT
from vitrial.protocol.file import load_protocol
from vitrial.study.execute import run
from vitrial.train import checkpoint


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.slow
def test_a_study_ends_with_a_sentence_and_goes_on(tmp_path, pixel_caches, monkeypatch):
    (tmp_path / "tiny.yaml").write_text(PROTOCOL)
    study, save, calls = tmp_path / "study", checkpoint.torch.save, []

    def filling(content, file):
        calls.append(1)
        save(content, file) if len(calls) < 3 else full()

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.torch, "save", filling)
        arguments = ("--out", study, "--cache", pixel_caches)
        said = sentence(invoke("run", tmp_path / "tiny.yaml", *arguments))
    assert "There is no room for" in said
    assert CHECKPOINT in said
    assert str(study / "runs").replace(" ", "") in said.replace(" ", "")
    assert " MB" in said
    assert "1 failed, 2 left" in invoke("status", study).output
    (metrics,) = (study / "runs").glob("*/metrics.jsonl")
    run = metrics.parent
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    result = invoke("run", study, "--cache", pixel_caches)
    assert result.exit_code == 0, result.output
    assert (run / "metrics.jsonl").read_text().count("\n") == 3


@pytest.mark.slow
def test_a_folder_that_is_taken_away_is_a_sentence_and_is_not_made_anew(tmp_path, pixel_caches):
    (tmp_path / "tiny.yaml").write_text(PROTOCOL.replace("[random, random+dino]", "[random]"))
    protocol, study = load_protocol(tmp_path / "tiny.yaml"), tmp_path / "disk" / "study"

    def take_away(event):
        if isinstance(event, EpochEnded) and event.epoch == 1:
            (tmp_path / "disk").rename(tmp_path / "elsewhere")

    with pytest.raises(DiskGoneError, match=r"is gone while .* was at work"):
        run(protocol, study, cache=pixel_caches, listen=take_away)
    assert not (tmp_path / "disk").exists()
    (tmp_path / "elsewhere").rename(tmp_path / "disk")
    assert (run(protocol, study, cache=pixel_caches).status()["status"] == "done").all()


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a disk of a chosen size needs the right to mount one")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def fill(disk, left=20_000):
    """Leave only so many bytes of a disk."""
    with (disk / "filler").open("wb") as file:
        file.write(bytes(shutil.disk_usage(disk).free - left))


@pytest.mark.slow
def test_each_command_says_which_file_has_no_room(disk, tmp_path, pixel_caches):
    study = disk / "study"
    (tmp_path / "tiny.yaml").write_text(PROTOCOL)
    command = ("run", tmp_path / "tiny.yaml", "--out", study, "--cache", pixel_caches)
    fill(disk)
    assert "make room" in sentence(invoke(*command))
    (disk / "filler").unlink()
    assert invoke(*command).exit_code == 0
    before = predictions_of(study)
    (run,) = (study / "runs").glob("*random-1*")
    (run / "predictions.parquet").unlink()
    (teacher,) = (study / "pretrained").iterdir()
    fill(disk, 0)
    for command, file in (
        (("report", study), ""),
        (("run", study, "--cache", pixel_caches), ""),
        (("export", teacher, "--to", "timm", "--out", disk / "out"), "model.safetensors"),
        (("data", "audit", tmp_path / "tiny.yaml", "--out", disk / "new"), "images.parquet"),
    ):
        said = sentence(invoke(*command))
        assert file in said
        assert "room" in said or "predictions.parquet is missing" in said
    (disk / "filler").unlink()
    assert invoke("run", study, "--cache", pixel_caches).exit_code == 0
    for name, table in predictions_of(study).items():
        pd.testing.assert_frame_equal(table, before[name], check_exact=True)
