"""A study as it lies on disk, and what can be said of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from vitrial.atomic import replacing, write_json
from vitrial.compare.scores import run_scores
from vitrial.compare.table import arm_table, caption, unlike
from vitrial.data.checks import write_problems
from vitrial.data.examination import Examination, read_examination
from vitrial.data.prepared import Prepared
from vitrial.errors import Problem, VitrialError
from vitrial.protocol import Protocol
from vitrial.protocol.file import load_protocol, write_protocol
from vitrial.study.plan import Stage, code_version
from vitrial.study.provenance import provenance
from vitrial.study.store import RunFolder

EXAMINATION = "examination"
"""The folder of a study in which the examination of its data lies."""
EXPLANATIONS = "explanations"
"""The folder of a study in which the explanations of its answers lie."""


@dataclass(frozen=True)
class Study:
    """A study's folder.

    `protocol.yaml` is the protocol, `manifest.parquet` the data set with its split, `study.json`
    the list of stages and facts about the data, `examination/` what was found in its images,
    `runs/` and `pretrained/` hold the stages.

    Attributes:
        path: The folder.
        protocol: The experiment.
        facts: The content of `study.json`.
    """

    path: Path
    protocol: Protocol
    facts: dict[str, Any]

    @classmethod
    def write(
        cls,
        path: Path,
        protocol: Protocol,
        data: Prepared,
        stages: list[Stage],
        problems: list[Problem],
        skipped: dict[str, str] | None = None,
    ) -> Study:
        """Lay down a study before its first run; the stages of a former plan are left in place."""
        write_protocol(protocol, path / "protocol.yaml")
        with replacing(path / "manifest.parquet") as temporary:
            data.manifest.to_parquet(temporary, index=False)
        write_problems(problems, path / "problems.csv")
        facts = {
            "protocol": protocol.hash(),
            "code": code_version(),
            "data": data.name,
            "classes": data.classes,
            "fingerprint": data.fingerprint(),
            "split": data.split_hash(),
            "skipped": skipped or {},
            "left_out": sum(problem.fatal for problem in problems),
            "stages": [
                {
                    "folder": stage.folder,
                    "kind": stage.kind,
                    "name": stage.name,
                    "arm": stage.arm.name,
                    "backbone": stage.arm.backbone,
                    "initialisation": str(stage.arm.origin),
                    "repetition": stage.repetition,
                    "start": stage.start.folder if stage.start else None,
                }
                for stage in stages
            ],
        }
        write_json(path / "study.json", facts)
        return cls(path, protocol, facts)

    def status(self) -> pd.DataFrame:
        """A row a stage: name, kind, status, epochs and why.

        The status is done, running, failed or left; arms that were skipped have a row each.
        """
        rows = []
        for stage in self.facts["stages"]:
            folder = RunFolder(self.path / stage["folder"])
            status = folder.status
            why = folder.failure() if status == "failed" else ""
            epochs = len(folder.metrics())
            rows.append({**stage, "status": status, "epochs": epochs, "why": why})
        for arm, why in self.facts.get("skipped", {}).items():
            skipped = {"name": arm, "arm": arm, "kind": "finetune", "status": "skipped"}
            rows.append({**skipped, "epochs": 0, "why": why})
        return pd.DataFrame(rows)

    def strangers(self) -> list[str]:
        """Run folders of former protocols, data or programs, which this study does not use."""
        mine = {stage["folder"] for stage in self.facts["stages"]}
        there = {
            folder.relative_to(self.path).as_posix()
            for kind in ("runs", "pretrained")
            for folder in self.path.glob(f"{kind}/*")
        }
        return sorted(there - mine)

    def runs(self) -> list[tuple[dict[str, Any], RunFolder]]:
        """The runs that are done: what each is, and its folder."""
        runs = (
            (stage, RunFolder(self.path / stage["folder"]))
            for stage in self.facts["stages"]
            if stage["kind"] == "finetune"
        )
        return [(stage, folder) for stage, folder in runs if folder.status == "done"]

    def manifest(self) -> pd.DataFrame:
        """The data set: image, label, group, split and metadata."""
        return pd.read_parquet(self.path / "manifest.parquet")

    def examination(self) -> Examination | None:
        """The examination of the data; none in a study of an older program."""
        return read_examination(self.path / EXAMINATION)

    def scores(self) -> pd.DataFrame:
        """A row a finished run and split: every metric of its predictions, its cost and origin."""
        return run_scores(
            (stage, folder.predictions(), folder.result() | self._provenance(stage))
            for stage, folder in self.runs()
        )

    def _provenance(self, run: dict[str, Any]) -> dict[str, Any]:
        return provenance(self.path, run, self.facts["stages"])

    def metrics(self) -> pd.DataFrame:
        """A row a run and epoch, finished or not: arm, repetition, rate, losses and scores."""
        tables = [
            RunFolder(self.path / stage["folder"])
            .metrics()
            .assign(arm=stage["arm"], repetition=stage["repetition"])
            for stage in self.facts["stages"]
            if stage["kind"] == "finetune"
        ]
        return pd.concat(tables, ignore_index=True)

    def selfsupervision(self) -> pd.DataFrame:
        """A row a self-supervised pretraining, finished or not.

        Columns `name`, `epochs`; `first_loss`, `loss`, `spread` (of the features) of its first and
        last epochs; `knn_before` and `knn`: balanced accuracy of nearest neighbours on validation,
        of the weights that it started from and of those at the last look; `minutes`.
        """
        rows = []
        for stage in self.facts["stages"]:
            metrics = RunFolder(self.path / stage["folder"]).metrics()
            if stage["kind"] == "selfsupervise" and len(metrics):
                last, looks = metrics.iloc[-1], metrics.get("knn", pd.Series(dtype=float)).dropna()
                rows.append(
                    {
                        "name": stage["name"],
                        "epochs": len(metrics),
                        "first_loss": metrics["loss"].iloc[0],
                        "loss": last["loss"],
                        "spread": last["spread"],
                        "knn_before": metrics["knn_before"].iloc[0],
                        "knn": looks.iloc[-1] if len(looks) else math.nan,
                        "minutes": metrics["seconds"].sum() / 60,
                    }
                )
        return pd.DataFrame(rows)

    def caption(self) -> str:
        """What the table shows, in one line; in what its runs are unlike, and which are skipped."""
        records = [{"arm": run["arm"], **self._provenance(run)} for run, _ in self.runs()]
        title = caption(self.facts["data"], self.protocol.endpoint, len(self.facts["classes"]))
        if skipped := ", ".join(self.facts.get("skipped", {})):
            title += f"; skipped: {skipped}"
        return ". ".join([title, *unlike(records)])

    def table(self) -> pd.DataFrame:
        """A row an arm: test endpoint, median and standard deviation over repetitions, cost."""
        arms = [(str(arm.origin), arm.backbone) for arm in self.protocol.arms]
        return arm_table(self.scores(), self.protocol.endpoint, arms)


def load_study(path: Path | str) -> Study:
    """Open a study's folder.

    Raises:
        VitrialError: There is no study there.
    """
    path = Path(path)
    if not (path / "study.json").is_file():
        raise VitrialError(
            f"{path} holds no study: name the folder that `vitrial run` printed, or run one first."
        )
    facts = json.loads((path / "study.json").read_text())
    return Study(path, load_protocol(path / "protocol.yaml", build=False), facts)
