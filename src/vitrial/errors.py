"""What goes wrong for a user, in sentences."""

from __future__ import annotations

from dataclasses import dataclass


class VitrialError(Exception):
    """One clear sentence for the user: what is wrong, where, and how to mend it."""


@dataclass(frozen=True)
class Problem:
    """Something wrong, or worth knowing, about one part of a data set.

    Attributes:
        where: The image (path relative to the data set's root), table row or class concerned.
        what: What is wrong, or what was done about it.
        mend: What the user can do.
        fatal: False for a note: the image is used all the same.
    """

    where: str
    what: str
    mend: str
    fatal: bool = True


class DataError(VitrialError):
    """A data set that cannot be used as it is, with everything wrong in it."""

    def __init__(self, sentence: str, problems: list[Problem]) -> None:
        super().__init__(sentence)
        self.problems = problems
