import json

import pytest

from vitrial.layout import HISTORY
from vitrial.protocol import Protocol
from vitrial.records import DamagedError
from vitrial.store.history import changes, read_history, record_protocol

BASE = {
    "name": "h",
    "data": {"source": "phantom"},
    "image": {"resize": 32},
    "augment": {"crop": 32},
    "arms": [{"backbone": "resnet18"}, {"backbone": "resnet10t"}],
    "endpoint": "accuracy",
}
COMPARISON = {
    "treatment": "resnet10t / random",
    "control": "resnet18 / random",
    "claim": "equivalent",
}


def protocol(**keys):
    return Protocol.model_validate(BASE | keys)


def finish(root, count):
    for run in range(count):
        folder = root / "runs" / f"run-{run}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text("{}")


def amendments(root):
    return [entry.amendment for entry in read_history(root)]


def test_the_first_protocol_is_registered_and_the_same_again_is_not(tmp_path):
    record_protocol(tmp_path, None, protocol())
    record_protocol(tmp_path, protocol(), protocol())
    (entry,) = read_history(tmp_path)
    assert (entry.before, entry.after, entry.amendment) == (None, protocol().hash(), "")
    assert entry.time.endswith("+00:00")


def test_each_change_says_what_and_after_how_many_runs(tmp_path):
    record_protocol(tmp_path, None, protocol())
    record_protocol(tmp_path, None, protocol(repetitions=3))
    finish(tmp_path, 6)
    record_protocol(tmp_path, None, protocol(repetitions=3, margin=0.05))
    record_protocol(tmp_path, None, protocol(repetitions=3))
    assert amendments(tmp_path) == [
        "",
        "amended before any run: repetitions 5 -> 3",
        "amended after 6 runs: margin 0.02 -> 0.05",
        "amended after 6 runs: margin 0.05 -> 0.02",
    ], "what was taken back was amended twice"


def test_arms_and_comparisons_go_by_their_names(tmp_path):
    record_protocol(tmp_path, None, protocol())
    finish(tmp_path, 1)
    arms = [{"backbone": "resnet18", "recipe": {"base_lr": 0.01}}, {"backbone": "resnet34"}]
    record_protocol(tmp_path, None, protocol(arms=arms))
    said = amendments(tmp_path)[-1]
    assert said.startswith("amended after 1 run: ")
    assert 'arms[resnet18 random] {} -> {"recipe": {"base_lr": 0.01}}' in said
    assert "arms[resnet10t random] removed" in said
    assert "arms[resnet34 random] added" in said


def test_comparisons_that_were_registered_late_are_said(tmp_path):
    record_protocol(tmp_path, None, protocol())
    record_protocol(tmp_path, None, protocol(comparisons=[COMPARISON]))
    record_protocol(tmp_path, None, protocol(comparisons=[COMPARISON | {"margin": 0.1}]))
    name = "comparisons[resnet10t / random equivalent resnet18 / random primary]"
    first, second = amendments(tmp_path)[1:]
    assert f"{name} added" in first
    assert f'{name} {{"alpha": 0.05}} -> {{"alpha": 0.05, "margin": 0.1}}' in second.replace(
        '"margin": 0.1, "alpha": 0.05', '"alpha": 0.05, "margin": 0.1'
    )


def test_moved_data_are_recorded_but_no_amendment(tmp_path):
    here, there = ({"source": "aptos2019", "root": f"/{name}"} for name in ("a", "b"))
    record_protocol(tmp_path, None, protocol(data=here))
    record_protocol(tmp_path, None, protocol(data=there, description="moved"))
    entry = read_history(tmp_path)[-1]
    assert {change.key for change in entry.changes} == {"data.root", "description"}
    assert entry.amendment == ""


def test_a_study_of_a_program_without_history_begins_with_what_it_registered(tmp_path):
    finish(tmp_path, 2)
    record_protocol(tmp_path, protocol(), protocol(margin=0.05))
    assert amendments(tmp_path) == ["amended after 2 runs: margin 0.02 -> 0.05"]


def test_a_line_that_was_changed_is_noticed(tmp_path):
    record_protocol(tmp_path, None, protocol())
    record_protocol(tmp_path, None, protocol(margin=0.05))
    path = tmp_path / HISTORY
    first, second = path.read_text().splitlines()
    path.write_text(f"{json.dumps(json.loads(first) | {'finished': 9})}\n{second}\n")
    with pytest.raises(DamagedError, match="damaged"):
        read_history(tmp_path)


def test_another_order_of_keys_is_no_change():
    assert changes({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}) == ()
