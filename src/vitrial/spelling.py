"""Names that were meant: the valid names nearest to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], count: int = 1) -> list[str]:
    """The known names that resemble a word, best first; empty where none does.

    Args:
        word: What was written; its case is ignored.
        known: The valid names.
        count: Largest number of names to return.
    """
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=count)
    return [by_lower[name] for name in found]


def did_you_mean(word: str, known: Iterable[str], count: int = 1) -> str:
    """The tail of a sentence, `, did you mean X?`; empty where no name resembles the word."""
    found = nearest(word, known, count)
    return f", did you mean {' or '.join(found)}?" if found else ""
