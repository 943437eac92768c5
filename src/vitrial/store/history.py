"""The record of a study's protocols: each change is added to it, and none is ever taken away.

A line of JSON per entry, each with the SHA-256 of the line before it, so that a line before the
last that was changed or removed does not go unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vitrial.atomic import write_text
from vitrial.layout import HISTORY, RESULT, RUNS
from vitrial.protocol import Protocol, digest
from vitrial.records import reading

ONLY_WHERE = ("root", "description")
"""Last steps of the keys that say where data lie, or what a trial is for: no amendment."""
NAMED = {
    "arms": ("id", "backbone", "initialization"),
    "comparisons": ("treatment", "claim", "control", "family"),
}
"""Lists whose items have names, and the keys that make them."""
LONGEST = 60
"""Characters of a value that is shown."""


@dataclass(frozen=True)
class Change:
    """A key of the protocol with another value.

    Attributes:
        key: Dotted, such as `recipe.base_lr`; arms and comparisons by their names.
        old: The value before; None where there was none.
        new: The value since; None where there is none any more.
    """

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.old is None and self.new is not None and "[" in self.key:
            return f"{self.key} added"
        if self.new is None and self.old is not None and "[" in self.key:
            return f"{self.key} removed"
        return f"{self.key} {_short(self.old)} -> {_short(self.new)}"


@dataclass(frozen=True)
class Entry:
    """A protocol that the study was run with.

    Attributes:
        time: When it was registered: UTC, ISO 8601.
        before: Hash of the protocol before it; None for the first.
        after: Its own hash.
        changes: What differs from the protocol before it.
        finished: How many runs of the study were finished then.
        protocol: The whole of it.
    """

    time: str
    before: str | None
    after: str
    changes: tuple[Change, ...]
    finished: int
    protocol: dict[str, Any]

    @property
    def amendment(self) -> str:
        """What was amended, and when; empty for the first, and where only data were moved."""
        changes = [c for c in self.changes if c.key.rpartition(".")[2] not in ONLY_WHERE]
        if not changes:
            return ""
        runs = f"{self.finished} run{'s' * (self.finished != 1)}"
        after = f"after {runs}" if self.finished else "before any run"
        return f"amended {after}: {', '.join(map(str, changes))}"


def record_protocol(root: Path, registered: Protocol | None, protocol: Protocol) -> None:
    """Add an entry if the study is about to be run with another protocol than before.

    Args:
        root: The study's folder.
        registered: What `study.json` holds, which counts where there is no history yet; None if it
            is damaged.
        protocol: What is about to be run.
    """
    entries = read_history(root)
    after = protocol.registered()
    if entries:
        before = _as_of_today(entries[-1].protocol)
    elif registered is not None and registered != protocol:
        before = registered.registered()
    else:
        before = None
    if before == after:
        return
    entry = Entry(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        before=None if before is None else digest(before),
        after=protocol.hash(),
        changes=() if before is None else changes(before, after),
        finished=len(list(root.glob(f"{RUNS}/*/{RESULT}"))),
        protocol=after,
    )
    lines = [line for line, _ in _lines(root)]
    content = {**asdict(entry), "previous": _sum(lines[-1]) if lines else None}
    write_text(root / HISTORY, "".join(f"{line}\n" for line in [*lines, json.dumps(content)]))


def read_history(root: Path) -> list[Entry]:
    """The protocols that a study was run with, the first first; none in one of an older program.

    Raises:
        DamagedError: A line was changed or removed.
    """
    return [entry for _, entry in _lines(root)]


def changes(before: dict[str, Any], after: dict[str, Any]) -> tuple[Change, ...]:
    """What differs between the contents of two protocols."""
    old, new = _flat(before), _flat(after)
    keys = [*old, *(key for key in new if key not in old)]
    return tuple(
        Change(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)
    )


def _lines(root: Path) -> list[tuple[str, Entry]]:
    path = root / HISTORY
    if not path.exists():
        return []
    way_out = (
        f"restore it from a copy; or move it away, and `vitrial run {shlex.quote(str(root))}` "
        "begins another, which knows of no change before"
    )
    found: list[tuple[str, Entry]] = []
    with reading(path, way_out):
        for line in path.read_text(encoding="utf-8").splitlines():
            content = json.loads(line)
            if content.pop("previous") != (_sum(found[-1][0]) if found else None):
                raise ValueError("a line before it was changed")
            content["changes"] = tuple(Change(**change) for change in content["changes"])
            found.append((line, Entry(**content)))
    return found


def _as_of_today(content: dict[str, Any]) -> dict[str, Any]:
    """A protocol with the keys that protocols have had since, at what they are if left out."""
    try:
        return Protocol.model_validate_json(json.dumps(content)).registered()
    except ValidationError:  # it has keys that are gone
        return content


def _sum(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def _flat(content: dict[str, Any]) -> dict[str, Any]:
    """Every value by its dotted key; arms and comparisons as a whole, by what they are."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if key in NAMED and value:
            for one in value:
                named = " ".join(str(one[name]) for name in NAMED[key] if one.get(name))
                rest = {k: v for k, v in one.items() if k not in NAMED[key] and v is not None}
                flat[f"{key}[{named}]"] = rest
        elif isinstance(value, dict):
            flat |= {f"{key}.{inner}": found for inner, found in _flat(value).items()}
        else:
            flat[key] = value
    return flat


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
