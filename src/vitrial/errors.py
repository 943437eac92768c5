"""What goes wrong for a user, in sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass

DETAIL = re.compile(r" \(|: |, such as ")
"""Where the details of what is wrong begin."""
VARYING = re.compile(r"'[^']*'|\d[\d.,]*")
"""Names and numbers in what is wrong."""


class VitrialError(Exception):
    """One clear sentence for the user: what is wrong, where, and how to fix it."""


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8; of some files it cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(text: str) -> str:
    """A text whose undecodable bytes, which Python keeps as surrogates, are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong, or worth knowing, about one part of a data set.

    Its texts are always UTF-8: undecodable bytes of file names are escaped.

    Attributes:
        where: The image (path relative to the data set's root), table row or class concerned.
        what: What is wrong, or what was done about it.
        fix: What the user can do.
        fatal: False for a note: the image is used all the same.
    """

    where: str
    what: str
    fix: str
    fatal: bool = True

    def __post_init__(self) -> None:
        for field in ("where", "what", "fix"):
            if not is_text(text := getattr(self, field)):
                object.__setattr__(self, field, escaped(text))

    @property
    def kind(self) -> str:
        """What it has in common with problems that differ in names and numbers only."""
        return VARYING.sub("\u2026", DETAIL.split(self.what, maxsplit=1)[0])


class MissingError(VitrialError):
    """Something that runs need is not there.

    Attributes:
        skippable: The arms without which the others can be run; empty if none can.
        enough: Whether that is enough; else all runs lack something too.
    """

    def __init__(self, sentence: str, skippable: tuple[str, ...], enough: bool) -> None:
        super().__init__(sentence)
        self.skippable, self.enough = skippable, enough


class DataError(VitrialError):
    """A data set that cannot be used as it is, with everything wrong in it."""

    def __init__(self, sentence: str, problems: list[Problem]) -> None:
        super().__init__(sentence)
        self.problems = problems
