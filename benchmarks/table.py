"""What the benchmarks share: interleaved timing, and one table or JSON file of results."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One measured figure.

    Attributes:
        name: What was measured.
        value: The figure, None where it could not be measured.
        unit: Its unit.
        reference: What `ratio` is against.
        ratio: value / the reference's value.
        target: The ratio that is promised, None where nothing is.
        met: Whether `ratio` reaches `target`, None where nothing is promised.
    """

    name: str
    value: float | None
    unit: str
    reference: str | None = None
    ratio: float | None = None
    target: float | None = None
    met: bool | None = None


def seconds_of_rounds(
    contenders: Mapping[str, Callable[[], object]], rounds: int, budget: float = float("inf")
) -> dict[str, list[float]]:
    """Time callables in turn, so that a busy moment of the machine hits all of them.

    Args:
        contenders: What to time, by name; each is called once before timing starts. A callable
            that works on a GPU has to wait for it.
        rounds: Calls of each that are timed.
        budget: No new round starts after so many seconds, once each has been timed three times.

    Returns:
        The seconds of each call, by name, in the order of the rounds.
    """
    for call in contenders.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    start = time.perf_counter()
    for done in range(rounds):
        if done >= 3 and time.perf_counter() - start > budget:
            break
        for name, call in contenders.items():
            before = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - before)
    return seconds


def median_seconds(
    contenders: Mapping[str, Callable[[], object]], rounds: int, budget: float = float("inf")
) -> dict[str, float]:
    """The median seconds of a call, by name: see `seconds_of_rounds`."""
    seconds = seconds_of_rounds(contenders, rounds, budget)
    return {name: statistics.median(times) for name, times in seconds.items()}


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median over rounds of above / below: what changes from round to round cancels out."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def publish(title: str, rows: Sequence[Row], path: Path | None = None) -> None:
    """Print the rows as a table and, given a path, write them there as a JSON list."""
    table = Table("", "value", "unit", "ratio", "against", "target", "met", title=title)
    for row in rows:
        table.add_row(
            row.name,
            _figure(row.value) or "not measured",
            row.unit,
            _figure(row.ratio),
            row.reference or "",
            _figure(row.target),
            {None: "", True: "yes", False: "no"}[row.met],
        )
    Console().print(table)
    if path is not None:
        write_rows(rows, path)


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as a JSON list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
