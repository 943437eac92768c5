"""What a user should know of a data set before downloading it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml

from vitrial.errors import VitrialError
from vitrial.protocol.data import SOURCES, DataSection, configuration
from vitrial.spelling import did_you_mean

WIDTH = 96
"""Of a description, in characters; addresses are never broken."""


@dataclass(frozen=True)
class About:
    """A data set in words: `ABOUT` of each file in `vitrial.data.sources`.

    Attributes:
        title: Its name and what it is, in one line.
        license: Terms of use.
        where: Where to get it.
        layout: The files expected below `root`, as the download has them.
        size: Number of images and classes, in words.
        classes: Class names in order; empty where the files say.
        citation: The paper to cite; empty where there is none.
    """

    title: str
    license: str
    where: str
    layout: str
    size: str
    classes: tuple[str, ...] = ()
    citation: str = ""


def about(name: str) -> About:
    """What is known of a source, or of one of its sets, where it has several (`about_part`).

    Args:
        name: Such as `ham10000` or `medmnist:dermamnist`.

    Raises:
        VitrialError: There is none of this name; with the nearest.
    """
    source, _, part = name.partition(":")
    sources = SOURCES.names()
    about_part = getattr(SOURCES.entry(source), "about_part", None) if source in sources else None
    if source not in sources or (part and about_part is None):
        hint = did_you_mean(source, sources) or "."
        raise VitrialError(f"There is no data set '{name}'{hint} There are {', '.join(sources)}.")
    found: About = about_part(part) if part and about_part else SOURCES.entry(source).ABOUT
    return found


def titles() -> str:
    """A line for each source: its name and its title."""
    sources = SOURCES.entries()
    width = max(map(len, sources)) + 2
    return "\n".join(f"{name:{width}}{module.ABOUT.title}" for name, module in sources.items())


def describe(name: str) -> str:
    """All that is known of a data set, and how it is named in a protocol.

    Args:
        name: As for `about`.

    Raises:
        VitrialError: As for `about`.
    """
    known = about(name)
    parts = {
        "Size": known.size,
        "Classes": ", ".join(known.classes),
        "License": known.license,
        "Where": known.where,
        "Layout": known.layout,
        "Citation": known.citation,
    }
    described = [_paragraph(heading, text) for heading, text in parts.items() if text]
    return "\n".join([known.title, "", *described, "", "In a protocol:", "", protocol_lines(name)])


def protocol_lines(name: str) -> str:
    """The YAML of a protocol's `data`, with the keys of the source.

    Keys that may be left out show their default; those without one are named in a comment.

    Args:
        name: As for `about`.
    """
    source, _, part = name.partition(":")
    section = configuration(source)
    fields = section.model_fields
    part, _, size = part.partition("@")
    given: dict[str, Any] = {"source": source}
    given |= {section.first_key: part} if section.first_key and part else {}
    given |= {"size": int(size)} if size else {}
    lines, more = ["data:"], []
    for key in sorted(fields, key=lambda key: key != "source" and key in DataSection.model_fields):
        field = fields[key]
        example = (field.examples or [key.upper()])[0] if field.is_required() else None
        own = example if field.is_required() else field.get_default(call_default_factory=True)
        value = given.get(key, own)
        if value is None or (key in DataSection.model_fields and key != "source"):
            more.append(key)
        else:
            lines.append(f"  {key}: {_scalar(value)}{_choices(field.annotation)}")
    return "\n".join([*lines, f"  # and, if wanted: {', '.join(more)}"])


def _paragraph(heading: str, text: str) -> str:
    """A heading, and beside it the text with its own line breaks and others where it is long."""
    margin = " " * 10
    lines = [
        textwrap.fill(
            line,
            WIDTH,
            initial_indent=margin,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.splitlines()
    ]
    return f"{heading:10}" + "\n".join(lines).removeprefix(margin)


def _scalar(value: Any) -> str:
    text = str(value) if isinstance(value, Path) else value
    return yaml.safe_dump(text, default_flow_style=True).partition("\n")[0]


def _choices(annotation: Any) -> str:
    """A comment that lists the values of a key that has only a few."""
    values = get_args(annotation) if get_origin(annotation) is Literal else ()
    return f"  # {' or '.join(map(str, values))}" if len(values) > 1 else ""
