"""A stage that has begun: what it is, its folder, data and device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric

from vitrial.models.initialization import weights_record
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Stage, Weights
from vitrial.study.datasets import Trainable


@dataclass(frozen=True)
class Begun:
    """All that training a stage takes.

    Attributes:
        stage: What it is.
        folder: Where it leaves what it gives.
        data: What it trains on.
        start: The file of weights of the stage that it starts from.
        fabric: Device and precision.
        workers: Threads that read batches ahead; they change no bit.
    """

    stage: Stage
    folder: RunFolder
    data: Trainable
    start: Path | None
    fabric: Fabric
    workers: int

    def weights_record(self) -> Weights | None:
        """The file that the arm starts from; None if it starts at random or from another stage.

        Raises:
            VitrialError: There is no file.
        """
        record = None if self.start else weights_record(self.stage.arm)
        if record is None:
            return None
        return Weights(record["tag"], str(record["file"]), str(record["sha256"]))
