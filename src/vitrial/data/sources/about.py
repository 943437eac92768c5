"""What a user should know of a data set before downloading it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class About:
    """A data set in words: `ABOUT` of each file in `vitrial.data.sources`.

    Attributes:
        title: Its name and what it is, in one line.
        licence: Terms of use.
        where: Where to get it.
        layout: The files expected below `root`, as the download has them.
        size: Number of images and classes, in words.
        classes: Class names in order; empty where the files say.
        citation: The paper to cite; empty where there is none.
    """

    title: str
    licence: str
    where: str
    layout: str
    size: str
    classes: tuple[str, ...] = ()
    citation: str = ""
