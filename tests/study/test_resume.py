"""A study that was killed goes on to the bit, and the number of workers changes no bit."""

import signal
import subprocess
import sys

import pandas as pd
import pytest

from vitrial.protocol.file import load_protocol
from vitrial.study.execute import run

# Kills itself at the n-th call of a function, before or after the call.
KILLER = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
import vitrial

module, name, when, n, protocol, out, cache = sys.argv[1:]
owner = import_module(module)
original, calls = getattr(owner, name), 0

def killing(*args, **kwargs):
    global calls
    calls += 1
    if calls == int(n) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*args, **kwargs)
    if calls == int(n):
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, killing)
vitrial.run(vitrial.load_protocol(protocol), out, cache=Path(cache))
"""

MOMENTS = {
    "in the middle of an epoch": ("vitrial.train.fit", "augment_batch", "before", 8),
    "between best weights and checkpoint": ("vitrial.train.fit", "copy_of_weights", "after", 2),
    "between last checkpoint and weights": ("vitrial.train.fit", "save_weights", "before", 2),
    "between weights and result": ("vitrial.train.fit", "save_weights", "after", 2),
    "while a checkpoint is written": ("torch", "save", "after", 4),
    "in the middle of an epoch of self-supervision": (
        "vitrial.train.selfsupervised.pretrain",
        "multicrop",
        "before",
        5,
    ),
    "before predictions are written": ("vitrial.study.run", "predictions", "before", 1),
}


def all_predictions(study):
    return {stage.name: folder.predictions() for stage, folder in study.runs()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, pixel_caches):
    from conftest import SMALL

    root = tmp_path_factory.mktemp("uninterrupted")
    (root / "small.yaml").write_text(SMALL)
    return run(load_protocol(root / "small.yaml"), root / "study", cache=pixel_caches)


def assert_same_bits(first, second):
    first, second = all_predictions(first), all_predictions(second)
    assert first.keys() == second.keys()
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, second[name], check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_continued(moment, uninterrupted, small_protocol, tmp_path, pixel_caches):
    module, name, when, n = MOMENTS[moment]
    arguments = [module, name, when, str(n), str(small_protocol), str(tmp_path / "study")]
    killed = subprocess.run(
        [sys.executable, "-c", KILLER, *arguments, str(pixel_caches)], capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    study = run(load_protocol(small_protocol), tmp_path / "study", cache=pixel_caches)
    assert len(study.runs()) == 3
    assert_same_bits(study, uninterrupted)
    assert not list(study.path.rglob(".partial-*")), "half-written files were left behind"
    times = ["seconds", "train_seconds"]
    metrics = study.metrics().drop(columns=times)
    pd.testing.assert_frame_equal(
        metrics, uninterrupted.metrics().drop(columns=times), check_exact=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_no_bit(workers, uninterrupted, small_protocol, tmp_path, pixel_caches):
    protocol = load_protocol(small_protocol)
    study = run(protocol, tmp_path / "study", cache=pixel_caches, workers=workers)
    assert_same_bits(study, uninterrupted)


@pytest.mark.slow
def test_a_finished_study_is_not_run_again(uninterrupted, pixel_caches, monkeypatch):
    monkeypatch.setattr("vitrial.study.carry_out.run_stage", None)
    study = run(uninterrupted.protocol, uninterrupted.path, cache=pixel_caches)
    assert (study.status()["status"] == "done").all()
