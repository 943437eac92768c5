"""TensorBoard: event files below the study, read by `tensorboard --logdir STUDY/trackers`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vitrial.trackers import Tracked

EXTRA = ("tensorboard", ("tensorboard",))


class Run:
    """A folder of event files."""

    def __init__(self, tracked: Tracked) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = tracked.folder / f"{tracked.stage.replace('/', '-')} {tracked.key}"
        self.logged = _last_step(folder) if folder.exists() else 0
        self.writer = SummaryWriter(folder)
        if not self.logged:
            facts = "".join(f"    {name}: {value}\n" for name, value in tracked.facts.items())
            self.writer.add_text("stage", facts)

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Take an epoch's values."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, epoch)
        self.writer.flush()

    def close(self, done: bool) -> None:
        """The stage has ended."""
        self.writer.close()


def start(tracked: Tracked) -> Run:
    """Follow a stage."""
    return Run(tracked)


def _last_step(folder: Path) -> int:
    """The last step of any scalar in a folder's event files; 0 if there is none."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    names = events.Tags()["scalars"]
    return max((event.step for name in names for event in events.Scalars(name)), default=0)
