"""Progress as events: whatever takes time tells what it does, and whoever wants to, listens.

A listener is any callable that takes an event; the terminal is one (`vitrial.progress`)::

    with listening(print):
        run(protocol)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from vitrial.errors import Problem

Item = TypeVar("Item")


@dataclass(frozen=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True)
class Note(Event):
    """A sentence for the user, such as what was left out."""

    text: str


@dataclass(frozen=True)
class ProblemsFound(Event):
    """What is wrong with images that are left out, or worth knowing of others."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Started(Event):
    """Something that is counted has begun.

    Attributes:
        what: Names it until it has ended.
        total: How many there are, None if that is unknown.
        done: How many of them are there already.
        unit: What is counted.
    """

    what: str
    total: int | None
    done: int = 0
    unit: Literal["items", "bytes"] = "items"


@dataclass(frozen=True)
class Advanced(Event):
    """So many more are done of something that was started."""

    what: str
    count: int = 1


@dataclass(frozen=True)
class Ended(Event):
    """Something that was started is over, finished or not."""

    what: str


@dataclass(frozen=True)
class EpochEnded(Event):
    """An epoch of a stage is over.

    Attributes:
        stage: What a person calls the stage.
        epoch: From 1.
        score: Name of what is followed: the endpoint on validation, or `loss`.
        value: Its value now.
        best: Its best value so far.
        best_epoch: The epoch of the best value.
        neighbors: Balanced accuracy of nearest neighbors on validation before self-supervision and
            at the last look, where it was looked at.
    """

    stage: str
    epoch: int
    score: str
    value: float
    best: float
    best_epoch: int
    neighbors: tuple[float, float] | None = None


@dataclass(frozen=True)
class StageEnded(Event):
    """This process is through with a stage.

    Attributes:
        stage: What a person calls the stage.
        how: `done`, `kept` (there was nothing to do) or `failed`.
        why: What was kept or has failed, and why.
    """

    stage: str
    how: Literal["done", "kept", "failed"]
    why: str = ""


@dataclass(frozen=True)
class TimeLeft(Event):
    """How long the study still takes, by what its epochs have taken so far.

    Attributes:
        seconds: An estimate.
    """

    seconds: float


Listener = Callable[[Event], None]

_listeners: list[Listener] = []
"""Of the process, all its threads together; the last one hears."""


def tell(event: Event) -> None:
    """Hand an event to the listener, if there is one."""
    if _listeners:
        _listeners[-1](event)


@contextmanager
def listening(listener: Listener | None = None) -> Iterator[None]:
    """Hand the events of a block to a listener.

    Args:
        listener: If left out, to who listens already, or else the terminal.
    """
    with ExitStack() as closing:
        if listener is None and _listeners:
            listener = _listeners[-1]
        elif listener is None:
            from vitrial.progress import on_terminal  # what nobody listens to is shown

            listener = closing.enter_context(on_terminal())
        _listeners.append(listener)
        closing.callback(_listeners.pop)
        yield


@contextmanager
def listening_too(*listeners: Listener) -> Iterator[None]:
    """Hand the events of a block to further listeners, after the one that hears them anyway."""
    heard = [*_listeners[-1:], *listeners]

    def all_of_them(event: Event) -> None:
        for listener in heard:
            listener(event)

    with listening(all_of_them if listeners else None):
        yield


def counted(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """The items, with an event for each that has been dealt with."""
    with counting(what, total) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def counting(
    what: str,
    total: int | None = None,
    done: int = 0,
    unit: Literal["items", "bytes"] = "items",
) -> Iterator[Callable[[int], None]]:
    """Give a function that is called with how many more are done; see `Started`."""
    tell(Started(what, total, done, unit))
    try:
        yield lambda count: tell(Advanced(what, count))
    finally:
        tell(Ended(what))
