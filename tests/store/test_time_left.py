"""How long a study still takes, against sums worked out by hand."""

from dataclasses import asdict, replace

import pytest

from simulated_studies import RESULT, protocol
from vitrial.records import write_record
from vitrial.store.facts import Entry
from vitrial.store.run_folder import RunFolder, lay_down
from vitrial.store.stage import Attempt, Machine
from vitrial.store.study import load_study
from vitrial.store.time_left import seconds_left
from vitrial.study.plan import plan

BACKBONES = ("test_resnet", "test_vit")


@pytest.fixture
def study(tmp_path):
    """Two backbones of two repetitions each, at most 10 epochs; nothing has begun."""
    arms = [{"backbone": backbone} for backbone in BACKBONES]
    chosen = protocol(arms=arms, recipe={"epochs": 10}, repetitions=2)
    stages = plan(chosen, {"data": "f", "unlabeled": "u"})
    lay_down(tmp_path, stages)
    registered = {"protocol": chosen.hash(), "registered": chosen.model_dump(mode="json")}
    known = {"classes": ["a", "b", "c"], "fingerprint": "f", "split": "s", "data": "drawn"}
    entries = [asdict(Entry.of(stage)) for stage in stages]
    write_record(tmp_path / "study.json", {**registered, **known, "stages": entries})
    return load_study(tmp_path)


def folder_of(study, backbone, repetition):
    (entry,) = (
        entry
        for entry in study.facts.stages
        if (entry.backbone, entry.repetition) == (backbone, repetition)
    )
    return RunFolder(study.path / entry.folder)


def train(study, backbone, repetition, seconds, done=False):
    """A run whose epochs took so many seconds each."""
    folder = folder_of(study, backbone, repetition)
    folder.begin(Attempt(Machine("cpu", "32-true", 1, "x"), {}))
    rows = [
        {"epoch": i, "train_loss": 1.0, "score": 0.5, "seconds": taken}
        for i, taken in enumerate(seconds, 1)
    ]
    folder.write_metrics(rows)
    if done:
        folder.finish(replace(RESULT, epochs=len(rows), history=rows))


def test_it_is_unknown_before_the_first_epoch(study):
    assert seconds_left(study) is None


def test_other_backbones_count_as_slow_until_they_have_begun(study):
    train(study, "test_resnet", 1, [2.0])
    # 9 epochs of this run, and 10 of each of the three others, at 2 seconds.
    assert seconds_left(study) == pytest.approx(2.0 * (9 + 3 * 10))


def test_a_stage_takes_what_those_of_its_backbone_took(study):
    train(study, "test_resnet", 1, [1.0, 3.0, 2.0, 2.0], done=True)  # stopped after 4 of 10
    train(study, "test_vit", 1, [5.0, 7.0])
    # The other ResNet: 4 epochs at 2 s. The ViTs: 8 and 10 at 6 s, for none of them has ended.
    assert seconds_left(study) == pytest.approx(4 * 2 + (8 + 10) * 6)


def test_stages_that_run_at_once_share_the_time(study):
    train(study, "test_resnet", 1, [2.0])
    alone = seconds_left(study)
    with folder_of(study, "test_resnet", 1).claim(), folder_of(study, "test_vit", 1).claim():
        assert seconds_left(study) == pytest.approx(alone / 2)


def test_what_is_done_or_failed_takes_no_time(study):
    for backbone in BACKBONES:
        train(study, backbone, 1, [1.0], done=True)
        folder_of(study, backbone, 2).fail("diverged")
    assert seconds_left(study) == 0
