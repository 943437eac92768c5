"""A study that was killed goes on to the bit, and the number of workers changes no bit."""

import os
import signal
from importlib import import_module
from multiprocessing import get_context

import pandas as pd
import pytest

from tiny_study import PROTOCOL
from vitrial.protocol.file import load_protocol
from vitrial.study.execute import run

MOMENTS = {
    "in the middle of an epoch": ("vitrial.train.fit", "augment_batch", "before", 8),
    "between best weights and checkpoint": ("vitrial.train.fit", "copy_of_weights", "after", 2),
    "between last checkpoint and weights": ("vitrial.train.fit", "save_weights", "before", 2),
    "between weights and result": ("vitrial.train.fit", "save_weights", "after", 2),
    "while a checkpoint is written": ("torch", "save", "before", 4),
    "between a checkpoint and its place": ("torch", "save", "after", 4),
    "in the middle of an epoch of self-supervision": (
        "vitrial.train.selfsupervised.pretrain",
        "multicrop",
        "before",
        5,
    ),
    "before predictions are written": ("vitrial.study.run", "predictions", "before", 1),
}


def run_killed(module, name, when, n, protocol, out, cache):
    """A study whose process kills itself at the n-th call of a function, before or after it."""
    owner = import_module(module)
    original, calls = getattr(owner, name), 0

    def killing(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == n and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, killing)
    # What is looked for before any work takes longer than this study, and writes nothing.
    execute = import_module("vitrial.study.execute")
    execute.preflight, execute.check_stages = lambda *_, **__: {}, lambda *_: []
    run(protocol, out, cache=cache)


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    """Three stages, one of which starts from another; each has an epoch to go on from."""
    path = tmp_path_factory.mktemp("protocol") / "tiny.yaml"
    path.write_text(PROTOCOL.replace("{epochs: 1,", "{epochs: 2,"))
    return load_protocol(path)


@pytest.fixture(scope="module")
def uninterrupted(protocol, tmp_path_factory, pixel_caches):
    return run(protocol, tmp_path_factory.mktemp("whole") / "study", cache=pixel_caches)


def all_predictions(study):
    return {stage.name: folder.predictions() for stage, folder in study.runs()}


def assert_same_bits(first, second):
    first, second = all_predictions(first), all_predictions(second)
    assert first.keys() == second.keys()
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, second[name], check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_continued(moment, uninterrupted, protocol, tmp_path, pixel_caches):
    context = get_context("forkserver")
    context.set_forkserver_preload(["vitrial.study.execute"])  # imported once for all
    arguments = (*MOMENTS[moment], protocol, tmp_path / "study", pixel_caches)
    process = context.Process(target=run_killed, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    study = run(protocol, tmp_path / "study", cache=pixel_caches)
    assert len(study.runs()) == 2
    assert_same_bits(study, uninterrupted)
    assert not list(study.path.rglob(".partial-*")), "half-written files were left behind"
    assert not list(study.path.rglob("*.damaged")), "a file was written where it lies"
    times = ["seconds", "train_seconds"]
    metrics = study.metrics().drop(columns=times)
    pd.testing.assert_frame_equal(
        metrics, uninterrupted.metrics().drop(columns=times), check_exact=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_no_bit(workers, uninterrupted, protocol, tmp_path, pixel_caches):
    study = run(protocol, tmp_path / "study", cache=pixel_caches, workers=workers)
    assert_same_bits(study, uninterrupted)


@pytest.mark.slow
def test_a_finished_study_is_not_run_again(uninterrupted, pixel_caches, monkeypatch):
    monkeypatch.setattr("vitrial.study.carry_out.run_stage", None)
    study = run(uninterrupted.protocol, uninterrupted.path, cache=pixel_caches)
    assert (study.status()["status"] == "done").all()
