"""Progress is told as events, to whoever listens; the terminal is one listener."""

import ast
import io
from pathlib import Path

import pytest
from rich.console import Console

import vitrial
from vitrial.errors import Problem
from vitrial.events import (
    Advanced,
    Ended,
    EpochEnded,
    Note,
    ProblemsFound,
    StageEnded,
    Started,
    TimeLeft,
    counted,
    counting,
    listening,
    listening_too,
    tell,
)
from vitrial.progress import on_terminal

SILENT = ("data", "models", "evaluate", "train", "store", "explain", "study")


def told(work):
    events = []
    with listening(events.append):
        work()
    return events


def test_what_is_counted_is_told_and_ends_even_when_it_fails():
    def fail():
        for item in counted([1, 2, 3], "Work", 3):
            if item == 2:
                raise KeyError(item)

    def failing():
        with pytest.raises(KeyError):
            fail()

    assert told(lambda: list(counted("ab", "Work"))) == [
        Started("Work", None),
        Advanced("Work"),
        Advanced("Work"),
        Ended("Work"),
    ]
    assert told(failing) == [Started("Work", 3), Advanced("Work"), Ended("Work")]


def test_without_a_listener_nothing_happens_and_the_nearest_one_hears():
    tell(Note("lost"))
    outer, inner = [], []
    with listening(outer.append):
        tell(Note("1"))
        with listening(inner.append):
            tell(Note("2"))
        with listening():
            tell(Note("3"))
    assert (outer, inner) == ([Note("1"), Note("3")], [Note("2")])


def shown(*events, terminal=False):
    console = Console(file=io.StringIO(), width=200, force_terminal=terminal)
    with on_terminal(console) as listener:
        for event in events:
            listener(event)
    return console.file.getvalue()


EPOCHS = [
    EpochEnded("[a] / random", 1, "kappa", 0.5, 0.5, 1),
    EpochEnded("[a] / random", 2, "kappa", 0.25, 0.5, 1),
]


def test_a_log_has_a_line_for_each_stage_and_no_bar():
    text = shown(
        Started("Stages", 3),
        *EPOCHS,
        StageEnded("[a] / random", "done"),
        EpochEnded("b", 7, "loss", 1.5, 1.5, 7, (0.25, 0.5)),
        StageEnded("b", "done"),
        StageEnded("c", "kept", "running elsewhere"),
        StageEnded("d", "failed", "[boom]"),
        StageEnded("e", "done"),
        Ended("Stages"),
        Note("a [note]"),
    )
    assert text.splitlines() == [
        "done    [a] / random: validation kappa 0.500 at epoch 1 of 2",
        "done    b: loss 1.500 after 7 epochs, neighbors' balanced accuracy on validation 0.250 "
        "before and 0.500 now",
        "kept    c: running elsewhere",
        "failed  d: [boom]",
        "done    e: nothing was left to train",
        "a [note]",
    ]


def test_a_person_sees_bars_of_items_and_bytes():
    text = shown(
        Started("Stages", 4, done=1), *EPOCHS, Started("File", 2000, unit="bytes"), terminal=True
    )
    assert "1/4" in text
    assert "epoch 2, kappa 0.250 (best 0.500)" in text
    assert "0.0/2.0 kB" in text


def test_a_person_sees_the_time_left_and_each_stage_at_work_in_80_columns():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with on_terminal(console) as listener:
        listener(Started("Stages", 22, done=1))
        stages = [f"xcit_nano_12_p16_224 / transfer:fundus+dino, repetition {r}" for r in (1, 2)]
        for stage in stages:
            listener(EpochEnded(stage, 2, "kappa", 0.25, 0.5, 1))
        listener(TimeLeft(720.0))
        listener.bars.refresh()
        shown_now = console.file.getvalue().rpartition("Stages")[2]
        listener(Ended("Stages"))
    assert "1/22" in shown_now
    assert "about 12 minutes left" in shown_now
    for stage in stages:
        assert stage in shown_now


def test_further_listeners_hear_after_the_one_that_listens():
    heard = []
    with (
        listening(lambda event: heard.append(("first", event.text))),
        listening_too(lambda event: heard.append(("second", event.text))),
    ):
        tell(Note("1"))
    assert heard == [("first", "1"), ("second", "1")]


def test_problems_are_a_table():
    text = shown(ProblemsFound((Problem("a.png", "is [odd]", "look"),)))
    assert "a.png" in text
    assert "is [odd]" in text


def test_counting_takes_what_is_there_already():
    def work():
        with counting("File", 10, done=4, unit="bytes") as advance:
            advance(6)

    assert told(work) == [Started("File", 10, 4, "bytes"), Advanced("File", 6), Ended("File")]


def test_the_packages_that_work_know_no_terminal():
    package = Path(vitrial.__file__).parent
    for path in (path for name in SILENT for path in (package / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            assert not any((name or "").split(".")[0] == "rich" for name in names), path
