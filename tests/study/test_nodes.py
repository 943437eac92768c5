"""Two nodes, here processes of this machine, train one model as one process does."""

import os
import shutil
import signal
import socket
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from threading import Thread

import numpy as np
import pytest

from tiny_study import PROTOCOL
from vitrial.errors import VitrialError
from vitrial.events import EpochEnded, StageEnded, listening
from vitrial.protocol.file import load_protocol
from vitrial.study import nodes, ranks
from vitrial.study.carry_out import Work, carry_out_stage
from vitrial.study.execute import run
from vitrial.study.executors import executor_of
from vitrial.study.executors.slurm import _Job
from vitrial.study.nodes import link_to_first, links_to_others, port_of
from vitrial.study.processes import starting
from vitrial.study.ranks import take_part

KEY = b"of this job"


@pytest.fixture(scope="module")
def alone(tmp_path_factory, pixel_caches):
    """A study of one stage, as one process carries it out."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "tiny.yaml").write_text(
        PROTOCOL.replace("random, random+dino", "random").replace("test_resnet", "test_vit")
    )
    return run(load_protocol(folder / "tiny.yaml"), folder / "study", cache=pixel_caches)


@pytest.fixture
def work(alone, tmp_path, pixel_caches):
    """The same study, where the stage is to be carried out."""
    study = shutil.copytree(alone.path, tmp_path / "study")
    shutil.rmtree(study / "runs")
    return Work(study, pixel_caches)


@pytest.fixture
def stage(alone):
    ((_, folder),) = alone.runs()
    return folder.stage()


@pytest.fixture
def port():
    with socket.create_server(("", 0)) as found:
        return found.getsockname()[1]


def started(function, *arguments):
    process = starting().Process(target=function, args=arguments)
    process.start()
    return process


def follow(port, work, stage):
    link = link_to_first("localhost", port, KEY)
    take_part(link, "localhost", work.root, stage.key, 1, cache=work.cache, workers=None)


def lead(port, work, stage, listener):
    with links_to_others(1, port, KEY) as others, listening(listener):
        return carry_out_stage(Work(work.root, work.cache, others=others), stage)


def kill_at_an_epoch(number):
    def kill(event):
        if isinstance(event, EpochEnded):
            os.kill(number, signal.SIGKILL)

    return kill


def lead_until_killed(port, work, stage):
    lead(port, work, stage, kill_at_an_epoch(os.getpid()))


def task(rank, job, number, connection):
    """What Slurm and submitit have a node do."""
    os.environ |= {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_NODELIST": "localhost"}
    os.environ |= {"SLURM_JOB_ID": str(number), "SLURM_PROCID": str(rank)}
    connection.send(job())


@pytest.mark.slow
def test_a_job_of_two_nodes_gives_what_one_process_does(alone, work, stage):
    job, number = _Job(work, stage, 2), os.getpid()
    links = [starting().Pipe() for _ in range(2)]
    tasks = [started(task, rank, job, number, theirs) for rank, (_, theirs) in enumerate(links)]
    events, others = (ours.recv() for ours, _ in links)
    for process in tasks:
        process.join()
        assert process.exitcode == 0
    assert events[-1] == StageEnded(stage.name, "done")
    assert [event.epoch for event in events[:-1]] == [3]
    assert others == []
    ((_, folder),) = alone.runs()
    found = type(folder)(work.root / stage.folder)
    (attempt,) = found.attempts()
    assert attempt.machine.device == "2 x cpu"
    assert not (found.path / "failure.json").exists()
    for name, value in folder.metrics().items():
        if "seconds" not in name:
            metric = found.metrics()[name]
            np.testing.assert_allclose(metric, value, rtol=0, atol=1e-6, err_msg=name)
    logits = [one.predictions().filter(like="logit") for one in (found, folder)]
    np.testing.assert_allclose(*logits, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_node_that_dies_ends_the_others_with_a_sentence(work, stage, port, monkeypatch, capfd):
    monkeypatch.setattr(ranks, "SIGNAL_LATE", 0)
    other = started(follow, port, work, stage)
    ended = lead(port, work, stage, kill_at_an_epoch(other.pid))
    assert ended.how == "failed"
    assert "that trained together ended" in ended.why
    other.join()
    first = started(lead_until_killed, port, work, stage)
    with pytest.raises(VitrialError, match="that trained together ended"):
        follow(port, work, stage)
    first.join()
    assert first.exitcode == -signal.SIGKILL
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_what_is_done_is_not_taken_part_in(alone, pixel_caches, stage, port):
    work = Work(alone.path, pixel_caches)
    other = started(follow, port, work, stage)
    assert lead(port, work, stage, print).how == "kept"
    other.join()
    assert other.exitcode == 0


def test_only_nodes_of_the_job_are_linked(port):
    def link():
        link_to_first("localhost", port, KEY).send("first")
        with pytest.raises(AuthenticationError):
            Client(("localhost", port), authkey=b"of another")
        link_to_first("localhost", port, KEY).send("second")

    thread = Thread(target=link)
    thread.start()
    with links_to_others(2, port, KEY) as links:
        assert [link.recv() for link in links] == ["first", "second"]
    thread.join()
    assert (port_of(7), port_of(123_456)) == (20_007, 23_456)


def test_nodes_that_do_not_come_are_a_sentence(port, monkeypatch):
    monkeypatch.setattr(nodes, "PATIENCE", 0.01)
    with pytest.raises(VitrialError, match="Of 3 nodes 1 began"), links_to_others(2, port, KEY):
        pass
    monkeypatch.setattr(nodes, "PATIENCE", -1)
    with pytest.raises(VitrialError, match=f"localhost, did not answer at port {port}"):
        link_to_first("localhost", port, KEY)
    with (
        socket.create_server(("", port)),
        pytest.raises(VitrialError, match=f"Port {port} of the first node is taken"),
        links_to_others(1, port, KEY),
    ):
        pass
    with links_to_others(0, port, KEY) as links:
        assert links == []


def test_impossible_devices_are_a_sentence(tmp_path, stage):
    def submit(devices, **options):
        executor_of("slurm", options)(Work(tmp_path, devices=devices), [stage], None)

    with pytest.raises(VitrialError, match=r"cluster .* must be slurm where there are several"):
        submit(1, nodes=2, cluster="local")
    with pytest.raises(VitrialError, match="must be greater than 0"):
        submit(1, nodes=0)
    with pytest.raises(VitrialError, match="Of the 4 GPUs of each node --devices 1 uses 1"):
        submit(1, nodes=2, gpus=4)
    with pytest.raises(VitrialError, match="16 images cannot be divided among 5 x 4 devices"):
        submit(4, nodes=5)
