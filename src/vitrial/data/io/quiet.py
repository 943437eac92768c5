"""Silence for the libraries that read images: what matters becomes a note or a problem."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

MODULES = r"(PIL|pydicom|openjpeg|libjpeg|rle|pylibjpeg|vitrial\.data\.io\.dicom\w*)(\.|$)"
LOGGERS = ("pydicom", "pylibjpeg", "openjpeg", "libjpeg", "rle")

_lock = Lock()
_depth = 0
_loud: warnings.catch_warnings[None] | None = None
_passing_on: list[logging.Logger] = []


@contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings and log records of Pillow, pydicom and its plugins from the user.

    pydicom's quote values of the header, which may name a patient. `warnings.catch_warnings` is
    not made for threads: here the first one in sets the filter, and the last one out restores what
    was before.
    """
    global _depth, _loud
    with _lock:
        _depth += 1
        if _depth == 1:
            _loud = warnings.catch_warnings()
            _loud.__enter__()
            warnings.filterwarnings("ignore", module=MODULES)
            _passing_on[:] = [
                logger for logger in map(logging.getLogger, LOGGERS) if logger.propagate
            ]
            for logger in _passing_on:
                logger.propagate = False
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _loud is not None:
                _loud.__exit__(None, None, None)
                for logger in _passing_on:
                    logger.propagate = True
