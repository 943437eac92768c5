"""Whatever carries a study out, its bits are the same, and faults on the way change none."""

import shutil
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context

import pandas as pd
import psutil
import pytest
import torch

from tiny_study import PROTOCOL, invoke, sentence
from vitrial.errors import VitrialError
from vitrial.events import EpochEnded, Note, StageEnded
from vitrial.protocol.file import load_protocol
from vitrial.store.run_folder import RunFolder
from vitrial.study.carry_out import layers
from vitrial.study.execute import run
from vitrial.study.executors import executor_of


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    """Three stages, one of which starts from another."""
    path = tmp_path_factory.mktemp("protocol") / "tiny.yaml"
    path.write_text(PROTOCOL)
    return load_protocol(path)


@pytest.fixture(scope="module")
def inline(protocol, tmp_path_factory, pixel_caches):
    """The study as one process carries it out, with as many threads as each of the others has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield run(protocol, tmp_path_factory.mktemp("inline") / "study", cache=pixel_caches)
    torch.set_num_threads(threads)


def assert_same_bits(study, inline):
    assert (study.status()["status"] == "done").all(), study.status()
    for (stage, folder), (_, expected) in zip(study.runs(), inline.runs(), strict=True):
        found, expected = folder.predictions(), expected.predictions()
        pd.testing.assert_frame_equal(found, expected, check_exact=True, obj=stage.name)


def workers():
    """The processes that carry out stages: what starts them is this process's only child."""
    return [worker for child in psutil.Process().children() for worker in child.children()]


@pytest.mark.slow
def test_local_workers_stop_with_their_parent_and_survive_a_kill(
    inline, protocol, tmp_path, pixel_caches
):
    def carry_out(listen):
        options = {"runs_per_device": 2}
        place = {"out": tmp_path / "study", "cache": pixel_caches}
        return run(protocol, **place, listen=listen, executor="local", options=options)

    def interrupting(event):
        if isinstance(event, EpochEnded):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(interrupting)
    assert not workers()
    assert not list(tmp_path.rglob("failure.json"))

    told = []

    def killing(event):
        told.append(event)
        if isinstance(event, EpochEnded) and not any(isinstance(e, Note) for e in told):
            for worker in workers():
                worker.kill()

    assert_same_bits(carry_out(killing), inline)
    notes = " ".join(event.text for event in told if isinstance(event, Note))
    assert "its process was ended by SIGKILL" in notes
    assert "It is tried again." in notes
    assert [event.how for event in told if isinstance(event, StageEnded)] == ["done"] * 3


@pytest.mark.slow
def test_jobs_of_submitit_give_the_same_bits(inline, protocol, tmp_path, pixel_caches, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("vitrial.study.executors.slurm.POLL", 0.1)
    out = shutil.copytree(inline.path, tmp_path / "study")
    for folder in (*out.glob("pretrained/*"), *out.glob("runs/*dino*")):
        shutil.rmtree(folder)
    told = []
    given = {"executor": "slurm", "options": {"cluster": "local"}, "listen": told.append}
    study = run(protocol, out, cache=pixel_caches, **given)
    assert_same_bits(study, inline)
    ended = [event for event in told if isinstance(event, StageEnded)]
    assert [event.how for event in ended] == ["kept", "done", "done"]
    assert any((tmp_path / "study" / "jobs").glob("*.out"))


@pytest.mark.slow
def test_tasks_of_ray_give_the_same_bits_though_a_worker_is_killed(
    inline, protocol, tmp_path, pixel_caches
):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    killed = []

    def kill(event):
        if isinstance(event, StageEnded) and not killed:  # the others are at work, or soon will be
            everything = psutil.Process().children(recursive=True)
            killed.extend(p for p in everything if "ray::_carry_out" in " ".join(p.cmdline()))
            for process in killed:
                process.kill()

    study = run(protocol, tmp_path / "study", cache=pixel_caches, listen=kill, executor="ray")
    assert_same_bits(study, inline)
    assert killed


@pytest.mark.slow
def test_two_commands_at_once_share_the_work(inline, protocol, tmp_path, pixel_caches):
    context = get_context("forkserver")
    context.set_forkserver_preload(["vitrial.study.execute"])
    other = context.Process(target=run_again, args=(protocol, tmp_path / "study", pixel_caches))
    other.start()
    study = run(protocol, tmp_path / "study", cache=pixel_caches)
    assert_same_bits(study, inline)
    other.join()
    assert other.exitcode == 0


def run_again(protocol, out, cache):
    torch.set_num_threads(1)
    assert (run(protocol, out, cache=cache).status()["status"] == "done").all()


@pytest.mark.slow
def test_a_stage_that_another_process_is_at_is_waited_for(inline, protocol, tmp_path, pixel_caches):
    def interrupting(event):
        if isinstance(event, EpochEnded):
            raise KeyboardInterrupt

    place = {"out": tmp_path / "study", "cache": pixel_caches}
    with pytest.raises(KeyboardInterrupt):
        run(protocol, **place, listen=interrupting)
    pretraining = next((tmp_path / "study" / "pretrained").iterdir())
    elsewhere = ExitStack()
    assert elsewhere.enter_context(RunFolder(pretraining).claim())
    told = []

    def freeing(event):
        told.append(event)
        if isinstance(event, Note):
            elsewhere.close()

    assert_same_bits(run(protocol, **place, listen=freeing), inline)
    (note,) = (event.text for event in told if isinstance(event, Note))
    assert note.startswith("Another process is at work on test_resnet / random+dino")
    ended = [event.stage for event in told if isinstance(event, StageEnded)]
    assert [name.partition(",")[2] for name in ended] == [
        " repetition 1",
        " self-supervision",
        " repetition 1",
    ]


def test_stages_of_a_layer_need_none_of_each_other(inline):
    stages = [folder.stage() for _, folder in inline.runs()]
    start = replace(stages[0], kind="selfsupervise", start=None)
    then = [replace(stage, start=start.folder) for stage in stages[1:]]
    assert layers([stages[0], start, *then]) == [[stages[0], start], then]
    assert layers([]) == []
    assert layers(then) == [then], "what is not among them is there already"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--executor", "lokal"), "did you mean local"),
        (("--executor", "local", "-x", "runs=2"), "has no option runs"),
        (("--executor", "local", "-x", "runs_per_device=0"), "must be greater than 0 or 'auto'"),
        (("--executor", "inline", "-x", "a=1"), "has no option a: there are none"),
        (("-x", "runs"), "write -x runs=VALUE"),
    ],
)
def test_wrong_options_are_a_sentence(arguments, said, tmp_path):
    assert said in sentence(invoke("run", "demo", "--out", tmp_path / "study", *arguments))
    assert not (tmp_path / "study").exists()


def test_an_executor_names_the_extra_that_it_lacks(monkeypatch):
    monkeypatch.setattr("vitrial.study.executors.find_spec", lambda name: None)
    with pytest.raises(VitrialError, match=r"pip install 'vitrial\[slurm\]'"):
        executor_of("slurm")
