import json

from vitrial.store.run_folder import RunFolder


def test_life_of_a_run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert folder.status == "left"
    with folder.claim() as claimed:
        assert claimed
        assert folder.status == "running"
        with RunFolder(folder.path).claim() as second:
            assert not second
        folder.begin({"stage": "x", "machine": "cpu"})
    assert folder.status == "left"
    folder.fail("The loss is no longer finite.")
    assert folder.status == "failed"
    assert folder.failure() == "The loss is no longer finite."
    folder.begin({"stage": "x", "machine": "cpu"})
    assert folder.status == "left"
    folder.begin({"stage": "x", "machine": "another"})
    assert json.loads((folder.path / "run.json").read_text())["machines"] == ["cpu", "another"]
    (folder.path / "checkpoint.pt").touch()
    folder.finish({"epochs": 3}, [])
    assert folder.status == "done"
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
