"""How the images that a source lists became those of a study, as STARD and CONSORT ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Flow:
    """Counts from the source's list to the images that are used.

    Attributes:
        listed: Images that the source lists.
        refused: Files, rows or masks for which it lists none, each a problem of its own.
        left_out: Images by the reason for which they are left out, in the order of the checks.
        groups: Patients or lesions of the images that are used, as the data name them.
        joined: The same after groups that share a picture, or nearly, count as one.
    """

    listed: int
    refused: int
    left_out: dict[str, int]
    groups: int
    joined: int

    @property
    def used(self) -> int:
        """Images that are used."""
        return self.listed - sum(self.left_out.values())


def left_out(listed: int, remaining: Mapping[str, int]) -> dict[str, int]:
    """Images that each check leaves out; checks that leave out none are not named.

    Args:
        listed: Images before the first check.
        remaining: Images after each, by what is wrong with those that it leaves out.
    """
    before = [listed, *remaining.values()]
    return {
        why: earlier - later
        for (why, later), earlier in zip(remaining.items(), before, strict=False)
        if earlier > later
    }
