"""Trackers are told what the store has, once each, and change nothing."""

import warnings
from importlib.util import find_spec

import pytest

from tiny_study import PROTOCOL, invoke, sentence
from vitrial.events import EpochEnded, Note, StageEnded, listening, tell
from vitrial.layout import TRACKED
from vitrial.protocol import Protocol
from vitrial.protocol.file import load_protocol
from vitrial.store.history import read_history
from vitrial.store.run_folder import RunFolder
from vitrial.study.execute import run
from vitrial.study.plan import plan
from vitrial.study.track import Tracker, facts_of, tracking
from vitrial.trackers import TRACKERS

HERE = [
    name
    for name in TRACKERS.names()
    if all(find_spec(module) for module in TRACKERS.entry(name).EXTRA[1])
]
KNOWN = {"data": "d", "unlabeled": "u"}


def protocol_at(folder, trackers):
    (folder / "tiny.yaml").write_text(f"{PROTOCOL}trackers: [{', '.join(trackers)}]\n")
    return load_protocol(folder / "tiny.yaml")


@pytest.fixture(scope="module")
def study(tmp_path_factory, pixel_caches):
    """A study that every tracker which is installed has followed."""
    root = tmp_path_factory.mktemp("trackers")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow uses what SQLAlchemy calls deprecated
        patch.setenv("WANDB_MODE", "offline")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return run(protocol_at(root, HERE), root / "study", cache=pixel_caches)


def epochs_of(study):
    """Score by epoch of the run from random weights, as the store has it."""
    (folder,) = (f for entry, f in study.runs() if entry.initialization == "random")
    return folder.metrics().set_index("epoch")["score"].to_dict()


def in_tensorboard(study):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = (study.path / TRACKED / "tensorboard").glob("*random, repetition 1*")
    events = EventAccumulator(str(folder))
    events.Reload()
    return {event.step: event.value for event in events.Scalars("score")}


@pytest.mark.slow
def test_tensorboard_reads_back_what_the_store_has(study):
    assert in_tensorboard(study) == pytest.approx(epochs_of(study))


@pytest.mark.slow
def test_a_resumed_stage_goes_on_where_the_record_ends(study):
    (entry, folder) = study.runs()[0]
    stages = {entry.name: folder.stage()}
    for _ in range(2):  # as if another process had been at it
        tracker = Tracker("tensorboard", "tiny", study.path, stages)
        tracker(EpochEnded(entry.name, 3, "score", 0.5, 0.5, 3))
        tracker(StageEnded(entry.name, "done"))
        assert not tracker.open
    assert in_tensorboard(study) == pytest.approx(epochs_of(study))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif("mlflow" not in HERE, reason="needs vitrial[mlflow]")
def test_mlflow_has_a_run_for_each_stage_in_the_studys_folder(study):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{study.path}/{TRACKED}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("tiny").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert {*runs} == {stage.name for stage in study.facts.stages}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    one = runs["test_resnet / random, repetition 1"]
    found = client.get_metric_history(one.info.run_id, "score")
    assert {m.step: m.value for m in found} == pytest.approx(epochs_of(study))
    assert one.data.params["backbone"] == "test_resnet"
    assert one.data.params["recipe.batch_size"] == "16"


@pytest.mark.slow
@pytest.mark.skipif("wandb" not in HERE, reason="needs vitrial[wandb]")
def test_wandb_keeps_files_for_later_where_it_is_offline(study):
    kept = list((study.path / TRACKED / "wandb" / "wandb").glob("offline-run-*/run-*.wandb"))
    keys = {RunFolder(study.path / stage.folder).stage().key for stage in study.facts.stages}
    assert {path.stem.removeprefix("run-") for path in kept} == keys


@pytest.mark.slow
def test_who_looks_on_changes_no_key_and_amends_nothing(study, tmp_path, pixel_caches):
    without = load_protocol(study.path / "protocol.yaml").model_copy(update={"trackers": []})
    assert without.hash() == study.facts.protocol
    stages = [stage.key for stage in plan(without, KNOWN)]
    assert stages == [stage.key for stage in plan(study.protocol, KNOWN)]
    told = []
    again = run(without, study.path, cache=pixel_caches, listen=told.append)
    assert {event.how for event in told if isinstance(event, StageEnded)} == {"kept"}
    assert len(read_history(again.path)) == 1
    assert again.amendments() == []


@pytest.mark.slow
def test_a_tracker_that_fails_is_said_and_training_goes_on(study, monkeypatch):
    class Broken:
        @staticmethod
        def start(tracked):
            raise ConnectionError("no server")

    monkeypatch.setattr("vitrial.trackers.Registry.entry", lambda self, name: Broken)
    told = []
    (entry, folder) = study.runs()[0]
    with listening(told.append), tracking(study.protocol, study.path, [folder.stage()]):
        for _ in range(2):
            tell(EpochEnded(entry.name, 1, "score", 0.5, 0.5, 1))
    notes = [event.text for event in told if isinstance(event, Note)]
    assert notes == [f"{n} is left: ConnectionError: no server. Training goes on." for n in HERE]


def test_an_extra_that_is_absent_is_said_before_any_work(tmp_path, monkeypatch, pixel_caches):
    protocol_at(tmp_path, ["mlflow", "wandb"])
    monkeypatch.setattr(
        "vitrial.study.missing.find_spec",
        lambda name: None if name in ("mlflow", "wandb") else find_spec(name),
    )
    said = sentence(invoke("run", tmp_path / "tiny.yaml", "--out", tmp_path / "s"))
    assert "trackers: mlflow needs: pip install 'vitrial[mlflow]'" in said
    assert "trackers: wandb needs: pip install 'vitrial[wandb]'" in said
    assert not (tmp_path / "s").exists()


def test_an_unknown_tracker_is_named(tmp_path):
    (tmp_path / "tiny.yaml").write_text(PROTOCOL + "trackers: [tensorbord]\n")
    said = sentence(invoke("protocol", "check", tmp_path / "tiny.yaml"))
    assert "tensorboard" in said


def test_facts_name_no_file():
    protocol = Protocol.model_validate(
        {
            "name": "t",
            "data": {"source": "phantom"},
            "arms": [{"backbone": "resnet10t", "initialization": "file:/home/me/w.pth"}],
            "endpoint": "accuracy",
        }
    )
    facts = facts_of(plan(protocol, KNOWN)[0])
    assert facts["initialization"] == "file"
    assert "/home/me" not in str(facts)
