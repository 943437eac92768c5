"""Where the program meets its surroundings: encodings, pipes that close, and signals to stop."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

BROKEN_PIPE = 128 + 13
"""The exit code that a shell gives a program that SIGPIPE ended."""


class Stopped(BaseException):
    """The system asked the program to stop.

    Attributes:
        code: The exit code that a shell gives a program that the signal ended.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


class PipedConsole(Console):
    """A console that leaves a closed pipe to its caller; rich's own ends the program with 1."""

    def on_broken_pipe(self) -> None:
        """Called while a `BrokenPipeError` is handled."""
        raise


def escape_unprintable() -> None:
    r"""Print characters that the output's encoding lacks as `\xb1`, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into `Stopped`, so that what is open is closed.

    Signals that are ignored, as by `nohup`, stay so. What cannot be closed in time a second signal
    ends at once; files are whole even then.
    """
    caught = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    former = {number: signal.getsignal(number) for number in caught}
    for number, handler in former.items():
        if handler == signal.SIG_DFL:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in former.items():
            if handler == signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)


def stop(number: int, frame: FrameType | None) -> None:
    """Handle a signal: raise `Stopped`, at once or when what puts it off is over."""
    signal.signal(number, signal.SIG_DFL)
    if _put_off:
        _put_off[-1].append(number)
    else:
        raise Stopped(number)


_put_off: list[list[int]] = []
"""The signals that came within each `stops_put_off`."""


@contextmanager
def stops_put_off() -> Iterator[Callable[[], bool]]:
    """Put off `Stopped` to the end of the block, which is told when to come to its end.

    Gives:
        Whether a signal to stop has come.
    """
    came: list[int] = []
    _put_off.append(came)
    try:
        yield lambda: bool(came)
    finally:
        _put_off.pop()
    if came:
        raise Stopped(came[0])


def discard_output() -> None:
    """Let what is still to be printed go nowhere, once nobody reads it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
