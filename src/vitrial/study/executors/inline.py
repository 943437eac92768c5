"""In this process, one stage after the other: one device, one run at a time."""

from __future__ import annotations

from vitrial.events import Note, counting, tell
from vitrial.store.stage import Stage
from vitrial.study.carry_out import STAGES, Work, carry_out_stage
from vitrial.study.datasets import Datasets
from vitrial.study.executors import ExecutorOptions

REQUIRES = None


class Options(ExecutorOptions):
    """There is nothing to tell."""


def execute(work: Work, stages: list[Stage], datasets: Datasets | None, options: Options) -> None:
    """Carry out the stages in order; those that other processes are at are returned to."""
    left, told = list(stages), False
    with counting(STAGES, len(stages)) as advance:
        while left:
            elsewhere: list[Stage] = []
            for stage in left:
                ended = carry_out_stage(work, stage, datasets)
                if ended is None:
                    elsewhere.append(stage)
                else:
                    tell(ended)
                    advance(1)
            if elsewhere and not told:
                names, told = ", ".join(stage.name for stage in elsewhere), True
                tell(Note(f"Another process is at work on {names}: waiting for it."))
            left = elsewhere
