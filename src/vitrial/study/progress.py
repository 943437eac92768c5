"""What a person sees while a study runs."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from vitrial.metrics import ENDPOINTS
from vitrial.study.plan import Stage
from vitrial.train.checkpoint import History

COLORS = {
    "done": "green",
    "running": "cyan",
    "damaged": "red",
    "failed": "red",
    "left": "dim",
    "skipped": "yellow",
}
RARE = ("damaged", "skipped")
"""What is counted only where it occurs."""


def status_table(status: pd.DataFrame) -> Table:
    """A line per stage of `Study.status`, and the count of each status in the caption."""
    table = Table("Status", "Run", "Epochs", "Why", caption_justify="left")
    for row in status.to_dict("records"):
        state = f"[{COLORS[row['status']]}]{row['status']}[/]"
        table.add_row(state, escape(row["name"]), str(row["epochs"] or ""), escape(row["why"]))
    counts = status["status"].value_counts()
    named = [name for name in COLORS if name not in RARE or name in counts]
    table.caption = ", ".join(f"{counts.get(name, 0)} {name}" for name in named)
    return table


def stale_runs_sentence(stale_runs: list[str]) -> str:
    """What `Study.stale_runs` means."""
    n = len(stale_runs)
    return (
        f"{n} run folder{'s' * (n > 1)} here belong{'s' * (n == 1)} to another protocol, data "
        "set or version of the program: kept, but not used."
    )


class StudyProgress:
    """A bar over the stages with the present epoch, and a line for each stage that ends.

    Args:
        stages: All of the study.
        console: Where to show it; a terminal gets the bar, a log only the lines.
    """

    def __init__(self, stages: list[Stage], console: Console) -> None:
        self.console = console
        columns = (
            BarColumn(30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self.task = self.bar.add_task("", total=len(stages))
        self.best = "nothing was left to train"

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def epoch(self, stage: Stage, history: History) -> None:
        """Show the last epoch."""
        row = history[-1]
        if "score" not in row:
            looks = [f"{r['knn']:.3f}" for r in history if "knn" in r]
            self.best = f"loss {row['loss']:.3f} after {len(history)} epochs"
            if looks:
                self.best += (
                    f", neighbors' balanced accuracy on validation {history[0]['knn_before']:.3f} "
                    f"before and {looks[-1]} now"
                )
            self.bar.update(self.task, description=f"{escape(stage.name)}: {self.best}")
            return
        metric = ENDPOINTS[stage.inputs["endpoint"]]
        best = max(history, key=lambda r: metric.gain(r["score"]))
        self.best = (
            f"validation {metric.name} {best['score']:.3f} "
            f"at epoch {best['epoch']} of {len(history)}"
        )
        now = f"epoch {row['epoch']}, {metric.name} {row['score']:.3f}"
        now += f" (best {best['score']:.3f})"
        self.bar.update(self.task, description=f"{escape(stage.name)}: {now}")

    def finish(self, stage: Stage) -> None:
        """A stage is done."""
        self._line(f"[green]done[/]    {escape(stage.name)}: {self.best}")

    def skip(self, stage: Stage, why: str) -> None:
        """A stage needs nothing from this process."""
        self._line(f"[dim]kept    {escape(stage.name)}: {why}[/]")

    def note(self, sentence: str) -> None:
        """Something that the user should know of the stage at hand."""
        self.console.print(escape(sentence), soft_wrap=True, highlight=False)

    def fail(self, stage: Stage, why: str) -> None:
        """A stage ended early."""
        self._line(f"[red]failed[/]  {escape(stage.name)}: {escape(why)}")

    def _line(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, highlight=False)
        self.bar.update(self.task, advance=1, description="")
        self.best = "nothing was left to train"
