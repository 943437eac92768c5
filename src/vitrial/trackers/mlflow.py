"""MLflow: the server that `MLFLOW_TRACKING_URI` names, else an SQLite file below the study."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from vitrial.trackers import Tracked

EXTRA = ("mlflow", ("mlflow", "sqlalchemy", "alembic"))
KEY = "vitrial.key"
"""The tag by which the run of a resumed stage is found."""
STORE = "mlflow.db"


class Run:
    """A run of the experiment that is called like the study."""

    def __init__(self, tracked: Tracked) -> None:
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)  # of the making of tables
        from mlflow import MlflowClient

        tracked.folder.mkdir(parents=True, exist_ok=True)
        own = f"sqlite:///{(tracked.folder / STORE).resolve()}"
        self.client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", own))
        experiment = self.client.get_experiment_by_name(tracked.study)
        if experiment is None:
            files = (tracked.folder / "artifacts").resolve().as_uri()
            place = None if "MLFLOW_TRACKING_URI" in os.environ else files
            experiment_id = self.client.create_experiment(tracked.study, place)
        else:
            experiment_id = experiment.experiment_id
        found = self.client.search_runs([experiment_id], f"tags.`{KEY}` = '{tracked.key}'")
        self.logged = 0
        if found:
            self.id = found[0].info.run_id
            histories = (self.client.get_metric_history(self.id, n) for n in found[0].data.metrics)
            self.logged = max((m.step for history in histories for m in history), default=0)
            return
        tags = {KEY: tracked.key}
        self.id = self.client.create_run(
            experiment_id, tags=tags, run_name=tracked.stage
        ).info.run_id
        for name, value in tracked.facts.items():
            self.client.log_param(self.id, name, value)

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Take an epoch's values."""
        for name, value in values.items():
            self.client.log_metric(self.id, name, value, step=epoch)

    def close(self, done: bool) -> None:
        """The stage has ended."""
        self.client.set_terminated(self.id, "FINISHED" if done else "FAILED")


def start(tracked: Tracked) -> Run:
    """Follow a stage."""
    return Run(tracked)
