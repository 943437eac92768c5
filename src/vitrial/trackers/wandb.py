"""Weights & Biases: online where one is logged in, else offline files for `wandb sync`."""

from __future__ import annotations

import os
from collections.abc import Mapping

from vitrial.trackers import Tracked

EXTRA = ("wandb", ("wandb",))


class Run:
    """A run of the project that is called like the study."""

    def __init__(self, tracked: Tracked) -> None:
        import wandb

        tracked.folder.mkdir(parents=True, exist_ok=True)
        # A prompt for a login would halt the study: without one, files are kept.
        offline = "WANDB_MODE" not in os.environ and wandb.api.api_key is None
        self.run = wandb.init(
            project=tracked.study,
            name=tracked.stage,
            id=tracked.key,
            config=dict(tracked.facts),
            dir=tracked.folder,
            mode="offline" if offline else None,
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )
        self.logged = max(self.run.starting_step - 1, 0)

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Take an epoch's values."""
        self.run.log(dict(values), step=epoch)

    def close(self, done: bool) -> None:
        """The stage has ended."""
        self.run.finish(exit_code=0 if done else 1)


def start(tracked: Tracked) -> Run:
    """Follow a stage."""
    return Run(tracked)
