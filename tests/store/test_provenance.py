"""What a run stands on: weights, cost of its pretraining, precision and machine."""

import pytest

from vitrial.protocol import Arm, Protocol
from vitrial.store.facts import Entry, chain_of
from vitrial.store.provenance import provenance
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Attempt, Machine, Normalization, Result, Weights
from vitrial.study.plan import plan

FINGERPRINTS = {"data": "d", "other": "o", "unlabeled": "u"}
MACHINE = Machine(device="cpu", precision="32-true", threads=1, cpu="x86_64")
GPU = Machine(device="NVIDIA H100", precision="bf16-mixed", threads=8, cpu="x86_64")
SHA = "ba7816bf"


def entries(*starts, repetitions=5, **changes):
    """The stages of a study of these initializations, as `study.json` lists them."""
    protocol = Protocol(
        name="test",
        data={"source": "phantom"},
        sources={"other": {"source": "phantom"}},
        arms=[Arm(backbone="resnet18", initialization=start) for start in starts],
        endpoint="balanced_accuracy",
        repetitions=repetitions,
        **changes,
    )
    return tuple(map(Entry.of, plan(protocol, FINGERPRINTS)))


def record(root, stage, seconds, machines=(MACHINE,), weights=None, program=None):
    folder = RunFolder(root / stage.folder)
    folder.path.mkdir(parents=True)
    for machine in machines:
        folder.begin(Attempt(machine, program or {}))
    result = Result(
        epochs=1,
        history=[],
        training_seconds=seconds,
        images_per_second=1.0,
        classes=(),
        normalization=Normalization((0.5,), (0.5,)),
        weights=weights,
    )
    folder.finish(result)


SECONDS = {"pretrain": 1000.0, "selfsupervise": 600.0, "finetune": 100.0}


def of_arm(root, stages, ending):
    for stage in stages:
        record(root, stage, SECONDS[stage.kind])
    runs = [s for s in stages if s.kind == "finetune" and s.arm.endswith(ending)]
    return provenance(root, runs[0], stages)


def test_a_shared_pretraining_is_divided_by_the_runs_that_start_from_it(tmp_path):
    """5 runs after transfer and 5 after DINO on top of it share the transfer; 5 share DINO."""
    stages = entries("random", "transfer:other", "transfer:other+dino")
    found = of_arm(tmp_path, stages, "transfer:other+dino")
    assert found["pretraining_seconds"] == 1600
    assert found["pretraining_share_seconds"] == pytest.approx(1000 / 10 + 600 / 5)
    assert found["total_seconds"] == pytest.approx(100 + 220)


def test_from_random_weights_a_run_costs_what_it_took(tmp_path):
    found = of_arm(tmp_path, entries("random", "transfer:other"), "random")
    assert (found["pretraining_seconds"], found["pretraining_share_seconds"]) == (0, 0)
    assert found["total_seconds"] == 100


def test_a_pretraining_of_its_own_is_paid_in_full(tmp_path):
    found = of_arm(tmp_path, entries("random+dino", share_pretraining=False), "dino")
    assert found["pretraining_seconds"] == found["pretraining_share_seconds"] == 600


def test_the_chain_begins_with_the_first_stage():
    stages = entries("transfer:other+dino", repetitions=1)
    assert [s.kind for s in chain_of(stages[-1], stages)] == [
        "pretrain",
        "selfsupervise",
        "finetune",
    ]


def test_weights_and_machines_are_those_of_the_whole_chain(tmp_path):
    stages = entries("imagenet+dino", repetitions=1)
    weights = Weights("tv_in1k", "resnet18.tv_in1k", SHA)
    record(tmp_path, stages[0], 600.0, machines=[GPU], weights=weights)
    record(tmp_path, stages[1], 100.0)
    found = provenance(tmp_path, stages[1], stages)
    assert (found["weights"], found["weights_sha256"]) == ("tv_in1k", SHA)
    assert found["precision"] == "32-true and bf16-mixed"
    assert found["device"] == "NVIDIA H100 and x86_64"


def test_the_programs_of_the_whole_chain_are_told(tmp_path):
    stages = entries("random+dino", repetitions=1)
    record(tmp_path, stages[0], 600.0, program={"vitrial": "1", "torch": "2.9.0"})
    record(tmp_path, stages[1], 100.0, program={"vitrial": "1", "torch": "2.9.1"})
    found = provenance(tmp_path, stages[1], stages)
    assert found["program"] == {"vitrial": "1", "torch": "2.9.0 and 2.9.1"}


def test_a_file_of_ones_own_goes_by_its_name(tmp_path):
    stages = entries("file:w.pth", repetitions=1)
    record(tmp_path, stages[0], 1.0, weights=Weights(None, "w.pth", SHA))
    assert provenance(tmp_path, stages[0], stages)["weights"] == "w.pth"
