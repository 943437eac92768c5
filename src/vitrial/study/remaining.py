"""How long a study still takes, told while it is carried out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from vitrial.events import EpochEnded, Event, StageEnded, TimeLeft, listening_too, tell
from vitrial.store.study import Study
from vitrial.store.time_left import seconds_left

EVERY = 10
"""Seconds between two estimates, or 20 times what one took: it reads every stage's metrics."""


@contextmanager
def telling_time_left(study: Study) -> Iterator[None]:
    """Tell, while stages are carried out in a block, how long the study still takes."""
    due = 0.0

    def listener(event: Event) -> None:
        nonlocal due
        started = time.monotonic()
        if not isinstance(event, EpochEnded | StageEnded) or started < due:
            return
        if (seconds := seconds_left(study)) is not None:
            tell(TimeLeft(seconds))
        ended = time.monotonic()
        due = ended + max(EVERY, 20 * (ended - started))

    with listening_too(listener):
        yield
