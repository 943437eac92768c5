"""Starting and ending the processes that carry stages out."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from threading import Thread

GRACE = 30
"""Seconds that a process has to write a checkpoint when it is told to stop."""


def starting() -> BaseContext:
    """What starts processes: they inherit no thread, and nothing of a GPU.

    Where the system can fork, they inherit what takes seconds to import.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["vitrial.study.executors.local"])
    return context


def end(*processes: BaseProcess) -> None:
    """End processes: at once if they are idle, else as soon as they have written a checkpoint."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(GRACE)
        process.kill()
        process.join()


def stop_with_parent() -> None:
    """Have this process told to stop when the one that started it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process decides
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, daemon=True).start()
