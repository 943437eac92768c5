"""Events on a terminal: bars where a person looks on, and a line for what ends; in a log, lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from vitrial.events import (
    Advanced,
    Ended,
    EpochEnded,
    Event,
    Note,
    ProblemsFound,
    StageEnded,
    Started,
    TimeLeft,
)
from vitrial.problem_table import print_problems
from vitrial.spelling import duration
from vitrial.terminal import PipedConsole

STYLES = {
    "done": "[green]done[/]    {}",
    "kept": "[dim]kept    {}[/]",
    "failed": "[red]failed[/]  {}",
}


@contextmanager
def on_terminal(console: Console | None = None) -> Iterator[Terminal]:
    """Give a listener that shows events.

    Args:
        console: Where; standard error if left out.
    """
    terminal = Terminal(console or PipedConsole(stderr=True))
    try:
        yield terminal
    finally:
        terminal.bars.stop()


class Terminal:
    """A listener that shows events on a console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bars = _Bars(
            TextColumn("{task.description}"),
            BarColumn(20),
            _Count(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.tasks: dict[str, TaskID] = {}
        self.epochs: dict[str, EpochEnded] = {}  # the last one of each stage that is at work

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Note(text):
                self.console.print(text, soft_wrap=True, highlight=False, markup=False)
            case ProblemsFound(problems):
                print_problems(problems, self.console)
            case Started(what, total, done, unit):
                if not self.tasks:
                    self.bars.start()
                self.tasks[what] = self.bars.add_task(
                    escape(what), total=total, completed=done, unit=unit, left=""
                )
            case Advanced(what, count) if what in self.tasks:
                self.bars.advance(self.tasks[what], count)
            case Ended(what) if what in self.tasks:
                self.bars.remove_task(self.tasks.pop(what))
                if not self.tasks:
                    self.bars.stop()
            case EpochEnded():
                self.epochs[event.stage] = event
                self._show_stages()
            case TimeLeft(seconds) if self.tasks:
                first = next(iter(self.tasks.values()))
                self.bars.update(first, left=f"{duration(seconds)} left")
            case StageEnded():
                self._ended(event)

    def _ended(self, event: StageEnded) -> None:
        epoch = self.epochs.pop(event.stage, None)
        told = _in_all(epoch) if epoch else "nothing was left to train"
        line = STYLES[event.how].format(escape(f"{event.stage}: {event.why or told}"))
        self.console.print(line, soft_wrap=True, highlight=False)
        self._show_stages()

    def _show_stages(self) -> None:
        """Say below the bars how far the stages are that are at work."""
        stages = self.epochs.values()
        self.bars.below = [f"  {epoch.stage}: {_now(epoch)}" for epoch in stages]


class _Bars(Progress):
    """Bars with lines of text below them."""

    below: Sequence[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, and the lines."""
        yield from super().get_renderables()
        yield from (Text(line, "dim") for line in self.below)


class _Count(ProgressColumn):
    """How many are done, or how many bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.items, self.bytes = MofNCompleteColumn(), DownloadColumn()

    def render(self, task: Task) -> Text:
        return (self.bytes if task.fields["unit"] == "bytes" else self.items).render(task)


def _now(event: EpochEnded) -> str:
    """The last epoch of a stage."""
    if event.score == "loss":
        return _in_all(event)
    now = f"epoch {event.epoch}, {event.score} {event.value:.3f}"
    return f"{now} (best {event.best:.3f})"


def _in_all(event: EpochEnded) -> str:
    """All epochs of a stage so far."""
    if event.score != "loss":
        best = f"validation {event.score} {event.best:.3f}"
        return f"{best} at epoch {event.best_epoch} of {event.epoch}"
    told = f"loss {event.value:.3f} after {event.epoch} epochs"
    if event.neighbors is None:
        return told
    before, now = event.neighbors
    looks = f"neighbors' balanced accuracy on validation {before:.3f} before and {now:.3f} now"
    return f"{told}, {looks}"
