"""Names that people write: the same name in other characters, and names that look alike."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
SEPARATORS = re.compile(r"[\s_]+|(?<=[^\W\d_])-(?=\w)")
"""What is written for a space: also a hyphen after a letter, but not a minus sign."""
WORDS = {"y": "yes", "true": "yes", "n": "no", "false": "no"}
"""Words for yes and no. `t` and `f` are left out: `f` is a class of heart beats beside `n`."""


def clean(name: str) -> str:
    """A name in normalized Unicode (NFC), without invisible characters or spaces around it.

    Spaces of all kinds inside become single plain ones. No two names that differ in this alone are
    meant to be two.
    """
    name = " ".join(name.split())
    return name if name.isascii() else unicodedata.normalize("NFC", trimmed(name))


def trimmed(text: str) -> str:
    """A text without the spaces and invisible characters at its ends, such as U+200B."""
    text = text.strip()
    if text.isascii():
        return text
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while end > start and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def look_alikes(names: Iterable[str]) -> list[list[str]]:
    """Sets of distinct names that look alike, each in the order in which they are given.

    Alike are names that differ in case, in invisible or compatible characters (a full-width A),
    in what separates their words (`no finding`, `no_finding`), numbers of one value (`1`, `1.0`,
    `01`), and words for yes and no (`True`, `yes`).
    """
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(names):
        alike[likeness(name)].append(name)
    return [same for same in alike.values() if len(same) > 1]


def likeness(name: str) -> str:
    """What a name has in common with those that look like it."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    plain = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    plain = SEPARATORS.sub(" ", plain).strip()
    if NUMBER.fullmatch(plain):
        return _value(plain)
    return WORDS.get(plain, plain)


def _value(number: str) -> str:
    """A decimal number in its shortest form, exactly: identifiers have more digits than floats."""
    sign = "-" if number.startswith("-") else ""
    whole, _, fraction = number.lstrip("+-").partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    value = f"{whole}.{fraction}" if fraction else whole
    return value if value == "0" else sign + value


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"
