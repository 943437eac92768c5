"""What backbones cost, as a study keeps it, and which arms no other arm beats."""

from __future__ import annotations

import pandas as pd

from vitrial.compare.pareto import not_dominated
from vitrial.layout import COST
from vitrial.metrics import ENDPOINTS
from vitrial.protocol import Protocol
from vitrial.records import Record, read_record, write_record
from vitrial.store.study import Study

LOWER = ("latency_ms", "training_bytes", "training_ms_per_image")
"""What an arm's endpoint is held against: lower is better."""


def write_costs(study: Study, costs: Record) -> None:
    """Keep what was measured in the study's folder."""
    write_record(study.path / COST, costs)


def read_costs(study: Study) -> Record | None:
    """What `write_costs` kept; None if there is nothing.

    Raises:
        DamagedError: It is not what was written.
    """
    path = study.path / COST
    return read_record(path, "`vitrial cost` measures it again") if path.exists() else None


def arm_costs(protocol: Protocol, scores: pd.DataFrame, costs: Record) -> pd.DataFrame:
    """The arms of a study with endpoint and cost.

    Args:
        protocol: The study's.
        scores: Of `Study.scores`.
        costs: Of `read_costs`.

    Returns:
        A row per arm: `arm`, `endpoint` (mean over test scores, NaN without a run), the columns of
        `vitrial.study.cost.Cost`, and `front`: whether no other arm is as good in the endpoint and
        in latency, memory and time of training, and better in one. Point values are compared.
    """
    by_model = {row["backbone"]: row for row in costs["rows"]}
    test = scores[scores["split"] == "test"]
    means = test.groupby("arm")[protocol.endpoint].mean()
    arms = [arm for arm in protocol.arms if arm.model in by_model]
    table = pd.DataFrame([{"arm": arm.name, **by_model[arm.model]} for arm in arms])
    table.insert(1, "endpoint", table["arm"].map(means).astype(float))
    gain = ENDPOINTS[protocol.endpoint].gain
    lower = table.assign(training_ms_per_image=1000 / table["training_images_per_second"])
    front = not_dominated(table["endpoint"].map(gain).to_numpy(), lower[list(LOWER)].to_numpy())
    return table.assign(front=front)
