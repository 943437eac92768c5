"""How a study stands: what is done, under way, failed and left, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vitrial.metrics import ENDPOINTS
from vitrial.records import DamagedError
from vitrial.store.run_folder import RunFolder
from vitrial.store.study import Study
from vitrial.store.time_left import seconds_left


@dataclass(frozen=True)
class Running:
    """A stage that is under way.

    Attributes:
        name: What a person calls it.
        epochs: How many are done.
        most: How many there are at most.
        now: The last epoch's score or loss, in words.
    """

    name: str
    epochs: int
    most: int
    now: str


@dataclass(frozen=True)
class Standing:
    """How a study stands.

    Attributes:
        counts: How many stages are `done`, `running`, `failed`, `damaged` and `left`, and how many
            arms were `skipped`; without zeros.
        total: Of stages.
        running: Those under way.
        failed: Those that failed or are damaged, each with its reason.
        seconds_left: None before the first epoch.
    """

    counts: dict[str, int]
    total: int
    running: list[Running]
    failed: list[tuple[str, str]]
    seconds_left: float | None

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return not {"running", "left", "damaged"} & self.counts.keys()


def standing(study: Study) -> Standing:
    """Look at a study's folder."""
    status = study.status()
    rows = status.to_dict("records")
    return Standing(
        counts={str(name): int(n) for name, n in status["status"].value_counts().items()},
        total=int((status["status"] != "skipped").sum()),
        running=[_running(study, row) for row in rows if row["status"] == "running"],
        failed=[(r["name"], r["why"]) for r in rows if r["status"] in ("failed", "damaged")],
        seconds_left=seconds_left(study),
    )


def _running(study: Study, row: dict[Any, Any]) -> Running:
    folder = RunFolder(study.path / row["folder"])
    try:
        metrics, most = folder.metrics(), folder.stage().recipe.epochs
    except DamagedError as error:
        return Running(row["name"], row["epochs"], 0, str(error))
    if metrics.empty:
        return Running(row["name"], 0, most, "")
    last, score = metrics.iloc[-1], ENDPOINTS[study.protocol.endpoint].label
    if "score" in metrics:
        now = f"validation {score} {last['score']:.3f}"
    else:
        now = f"loss {last['loss']:.3f}"
    return Running(row["name"], len(metrics), most, now)
