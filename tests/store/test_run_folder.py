import json

from vitrial.protocol import Arm, Augment, Image, Recipe
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Attempt, Draw, Machine, Normalization, Result, Stage

HERE = Attempt(Machine("cpu", "32-true", 1, "x86_64"), {"vitrial": "1"})
THERE = Attempt(Machine("NVIDIA H100", "bf16-mixed", 8, "x86_64"), {"vitrial": "1"})
STAGE = Stage(
    kind="finetune",
    arm=Arm(backbone="resnet18", recipe=Recipe(base_lr=0.1)),
    repetition=2,
    dataset="data",
    recipe=Recipe(base_lr=0.1 + 0.2),
    seed=2**62 + 1,
    versions=(1, 2),
    image=Image(),
    augment=Augment(),
    data="d",
    endpoint="roc_auc",
    labeled=Draw(0.1, 2**62 + 3),
)
RESULT = Result(
    epochs=1,
    history=[{"epoch": 1, "score": 0.1 + 0.2, "train_loss": 1e-17}],
    training_seconds=1 / 3,
    images_per_second=2 / 3,
    classes=("a", "b"),
    normalization=Normalization((0.1,), (0.2,)),
    best_epoch=1,
)


def test_life_of_a_run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert folder.status == "left"
    with folder.claim() as claimed:
        assert claimed
        assert folder.status == "running"
        with RunFolder(folder.path).claim() as second:
            assert not second
        folder.begin(HERE)
    assert folder.status == "left"
    folder.fail("The loss is no longer finite.")
    assert folder.status == "failed"
    assert folder.failure() == "The loss is no longer finite."
    folder.begin(HERE)
    assert folder.status == "left"
    folder.begin(THERE)
    assert folder.attempts() == (HERE, THERE)
    (folder.path / "checkpoint.pt").touch()
    folder.lay_down(STAGE)
    folder.finish(RESULT)
    assert folder.status == "done"
    assert (folder.stage(), folder.result()) == (STAGE, RESULT)
    assert folder.stage().key == STAGE.key
    assert not (folder.path / "checkpoint.pt").exists()


def test_metrics_keep_every_digit(tmp_path):
    folder = RunFolder(tmp_path)
    rows = [
        {"epoch": 1, "score": 0.1 + 0.2, "train_loss": 1.0},
        {"epoch": 2, "score": -1e-17, "train_loss": 1.0},
    ]
    folder.write_metrics(rows)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert folder.metrics()["epoch"].tolist() == [1, 2]
