"""Where an arm's weights start, as a short expression: `transfer:fundus+dino`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vitrial.protocol.selfsupervision import RECIPES
from vitrial.spelling import did_you_mean

Kind = Literal["random", "imagenet", "timm", "file", "transfer"]
KINDS = get_args(Kind)
FORMS = ("random", "imagenet", "imagenet:TAG", "timm", "timm:TAG", "file:PATH", "transfer:NAME")


@dataclass(frozen=True)
class Initialization:
    """Weights to start from, and perhaps self-supervision on top of them.

    Attributes:
        kind: `random`; `imagenet`, weights of timm's that were trained on ImageNet-1k alone;
            `timm`, any weights of timm's; `file`; or `transfer`, supervised pretraining on another
            labeled data set.
        of: The tag (empty for the plainest recipe of `imagenet`, for timm's default of `timm`),
            the file's path or the name of the data set; empty for `random`.
        method: Self-supervision on the target's own images.
    """

    kind: Kind
    of: str = ""
    method: str | None = None

    @property
    def base(self) -> Initialization:
        """The same weights without self-supervision."""
        return Initialization(self.kind, self.of)

    def __str__(self) -> str:
        """As in tables, names and seeds: of a file its name alone, wherever it lies.

        Arms of one row of the paper's table start from `imagenet`, whatever the tag of each
        backbone's weights is: the table has a column for the tags.
        """
        of = {"file": Path(self.of).name, "imagenet": ""}.get(self.kind, self.of)
        return self.kind + (f":{of}" if of else "") + (f"+{self.method}" if self.method else "")


def parse_initialization(text: str) -> Initialization:
    """Read one of `FORMS`, perhaps followed by `+` and a method of self-supervision.

    Raises:
        ValueError: It is none of them; the sentence lists them, and the nearest.
    """
    # A path may hold a plus of its own: what follows the last one counts if it is a mere word.
    start, plus, method = text.rpartition("+") if re.search(r"\+\w*$", text) else (text, "", "")
    kind, colon, of = start.partition(":")
    if plus and method not in (methods := RECIPES.names()):
        hint = did_you_mean(method, methods)
        known = " or ".join(f"+{name}" for name in methods)
        raise ValueError(f"must be {known} after '{start}', not '+{method}'{hint}")
    may_name, must_name = kind != "random", kind in ("file", "transfer")
    misnamed = (colon and not (of and may_name)) or (must_name and not of)
    if kind not in KINDS or misnamed:
        hint = did_you_mean(kind, KINDS) if kind not in KINDS else ""
        raise ValueError(f"must be {', '.join(FORMS[:-1])} or {FORMS[-1]}, not '{start}'{hint}")
    return Initialization(kind, of, method or None)  # type: ignore[arg-type]  # both just checked
