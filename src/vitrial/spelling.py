"""Words for people: the valid names nearest to a misspelt one, and times as they are said."""

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


def duration(seconds: float) -> str:
    """A time as a person says it, such as `about 12 minutes`."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * size or (unit == "minute" and seconds >= size):
            count = round(seconds / size)
            return f"about {count} {unit}{'s' * (count != 1)}"
    return "less than a minute"
