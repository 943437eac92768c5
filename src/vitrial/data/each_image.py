"""Work on the images of a batch one by one, on all of a CPU's cores.

One image at a time stays in a core's cache. Its steps are so short that threads inside them would
mostly wait for each other; so each thread takes images of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch


def for_each_image(work: Callable[[int], None], n: int) -> None:
    """Call `work(i)` for i in range(n), by as many threads as torch has for one operation.

    Which thread works on an image changes nothing, if `work` changes what is that image's alone.
    No gradients are recorded.
    """
    work = torch.no_grad()(work)
    threads = torch.get_num_threads()
    if min(threads, n) == 1:
        for i in range(n):
            work(i)
    else:
        list(_pool(threads, os.getpid()).map(work, range(n)))


@lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads that work on one image each; of this process, since a fork takes none along."""
    return ThreadPoolExecutor(threads, "views", initializer=torch.set_num_threads, initargs=(1,))
