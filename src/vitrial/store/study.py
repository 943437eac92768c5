"""A study as it lies on disk, and what can be said of it."""

from __future__ import annotations

import csv
import io
import math
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from vitrial import legacy
from vitrial.atomic import replacing
from vitrial.compare.findings import Finding
from vitrial.compare.table import caption, unlike
from vitrial.data.audit.problems import write_problems
from vitrial.data.audit.record import Audit, read_audit
from vitrial.errors import Problem, VitrialError
from vitrial.layout import (
    AUDIT,
    MANIFEST,
    PRETRAINED,
    PROBLEMS,
    PROTOCOL,
    RUNS,
    STUDY,
)
from vitrial.protocol import Protocol
from vitrial.protocol.file import load_protocol, write_protocol
from vitrial.records import (
    PRESENT,
    DamagedError,
    Record,
    read_bytes,
    read_record,
    read_table,
    read_typed,
    reading,
    write_typed,
)
from vitrial.store.facts import Entry, Facts
from vitrial.store.finished import FinishedRun, on_all_images, scores_of, table_of
from vitrial.store.history import read_history
from vitrial.store.program import program
from vitrial.store.registration import (
    REGISTERED,
    edited,
    holds_study,
    keep_edited,
    protocol_of,
    registration,
    way_out_of,
)
from vitrial.store.run_folder import RunFolder, lay_down
from vitrial.store.stage import Stage
from vitrial.store.trial import findings_of

if TYPE_CHECKING:
    from vitrial.data.prepared import Prepared

KNOWN = "fingerprint"
"""A key that `study.json` has once the data are known."""


@dataclass(frozen=True)
class Study:
    """A study's folder.

    `study.json` holds the protocol that was run, the list of stages and facts about the data;
    `protocol.yaml` is the protocol to be read, `manifest.parquet` the data set with its split,
    `audit/` what was found in its images; `runs/` and `pretrained/` hold the stages.

    Attributes:
        path: The folder.
        protocol: The experiment.
        facts: What `study.json` says of it.
        notes: What its reader should know, in sentences, such as that `protocol.yaml` was edited.
    """

    path: Path
    protocol: Protocol
    facts: Facts
    notes: tuple[str, ...] = ()

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
        with replacing(path / MANIFEST) as temporary:
            data.manifest.to_parquet(temporary, index=False)
        write_problems(problems, path / PROBLEMS)
        facts = Facts(
            protocol=protocol.hash(),
            data=data.name,
            classes=tuple(data.classes),
            fingerprint=data.fingerprint(),
            split=data.split_hash(),
            stages=tuple(map(Entry.of, stages)),
            program=program(),
            skipped=skipped or {},
            left_out=sum(problem.fatal for problem in problems),
            flow=data.flow,
            format=PRESENT,
        )
        keep_edited(path, protocol)
        write_typed(path / STUDY, facts, [MANIFEST, PROBLEMS], **registration(protocol))
        write_protocol(protocol, path / PROTOCOL)
        lay_down(path, stages)
        return cls(path, protocol, facts)

    def status(self) -> pd.DataFrame:
        """A row per stage: name, kind, status (see `RunFolder.status`), epochs and why.

        Arms that were skipped have a row each.
        """
        rows = []
        for stage in self.facts.stages:
            folder = RunFolder(self.path / stage.folder)
            status = folder.status
            why = {"failed": folder.failure, "damaged": folder.damage}.get(status, str)()
            try:
                epochs = len(folder.metrics())
            except DamagedError as error:
                epochs, why = 0, why or str(error)
            rows.append({**asdict(stage), "status": status, "epochs": epochs, "why": why})
        for arm, why in self.facts.skipped.items():
            skipped = {"name": arm, "arm": arm, "kind": "finetune", "status": "skipped"}
            rows.append({**skipped, "epochs": 0, "why": why})
        return pd.DataFrame(rows)

    def stale_runs(self) -> list[str]:
        """Run folders of former protocols, data or programs, which this study does not use."""
        mine = {stage.folder for stage in self.facts.stages}
        there = {
            folder.relative_to(self.path).as_posix()
            for kind in (RUNS, PRETRAINED)
            for folder in self.path.glob(f"{kind}/*")
            if RunFolder(folder).was_begun
        }
        return sorted(there - mine)

    def runs(self) -> list[tuple[Entry, RunFolder]]:
        """The runs on all training images that have a result: what each is, and its folder."""
        return [run for run in self.runs_of_all_sizes() if run[0].fraction == 1]

    def runs_of_all_sizes(self) -> list[tuple[Entry, RunFolder]]:
        """Those on parts of the training images too."""
        runs = (
            (stage, RunFolder(self.path / stage.folder))
            for stage in self.facts.stages
            if stage.kind == "finetune"
        )
        return [(stage, folder) for stage, folder in runs if folder.is_finished]

    def finished(self) -> list[FinishedRun]:
        """The same runs, each to be read once."""
        stages = self.facts.stages
        return [FinishedRun(self.path, run, stages) for run, _ in self.runs_of_all_sizes()]

    def manifest(self) -> pd.DataFrame:
        """The data set: image, label, group, split and metadata."""
        return read_table(self.path / MANIFEST, self._record(), way_out_of(self.path))

    def problems(self) -> list[Problem]:
        """What is wrong with the data sets, or worth knowing."""
        path, way_out = self.path / PROBLEMS, way_out_of(self.path)
        content = read_bytes(path, self._record(), way_out).decode("utf-8")
        with reading(path, way_out):
            rows = [*map(legacy.translated, csv.DictReader(io.StringIO(content, newline="")))]
            return [Problem(r["where"], r["what"], r["fix"], r["fatal"] == "True") for r in rows]

    def _record(self) -> Record:
        """`study.json` as it lies on disk, with the checksums of the files beside it."""
        return read_record(self.path / STUDY, way_out_of(self.path))

    def audit(self) -> Audit | None:
        """The audit of the data; none in a study of an older program."""
        return read_audit(self.path / AUDIT, way_out_of(self.path))

    def scores(self) -> pd.DataFrame:
        """A row per finished run and split: every metric, its cost and origin."""
        return scores_of(on_all_images(self.finished()))

    def metrics(self) -> pd.DataFrame:
        """A row per run and epoch, finished or not: arm, repetition, rate, losses and scores.

        Of the runs on all training images.
        """
        tables = [
            RunFolder(self.path / stage.folder)
            .metrics()
            .assign(arm=stage.arm, repetition=stage.repetition)
            for stage in self.facts.stages
            if stage.kind == "finetune" and stage.fraction == 1
        ]
        return pd.concat(tables, ignore_index=True)

    def selfsupervision(self) -> pd.DataFrame:
        """A row per self-supervised pretraining, finished or not.

        Columns `name`, `epochs`; `first_loss`, `loss`, `spread` (of the features) of its first and
        last epochs; `knn_before` and `knn`: balanced accuracy of nearest neighbors on validation,
        of the weights that it started from and of those at the last look; `minutes`.
        """
        rows = []
        for stage in self.facts.stages:
            metrics = RunFolder(self.path / stage.folder).metrics()
            if stage.kind == "selfsupervise" and len(metrics):
                last, looks = metrics.iloc[-1], metrics.get("knn", pd.Series(dtype=float)).dropna()
                rows.append(
                    {
                        "name": stage.name,
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
        runs = on_all_images(self.finished())
        records = [{"arm": run.entry.arm, **run.provenance} for run in runs]
        title = caption(self.facts.data, self.protocol.endpoint, len(self.facts.classes))
        if skipped := ", ".join(self.facts.skipped):
            title += f"; skipped: {skipped}"
        return ". ".join([title, *unlike(records), *self.amendments()])

    def verdict(self) -> list[Finding]:
        """What the finished runs say of each registered comparison.

        See `vitrial.compare.findings`; `vitrial.compare.sentences` puts it into words.
        """
        return findings_of(self.protocol, on_all_images(self.finished()))

    def amendments(self) -> list[str]:
        """What was changed of the protocol since the study began, a sentence for each time."""
        found = (entry.amendment for entry in read_history(self.path))
        return [f"Protocol {amendment}" for amendment in found if amendment]

    def table(self) -> pd.DataFrame:
        """A row per arm: test endpoint, median and standard deviation over repetitions, cost."""
        return table_of(self.protocol, self.scores())


def stale_runs_sentence(stale_runs: list[str]) -> str:
    """What `Study.stale_runs` means."""
    n = len(stale_runs)
    return (
        f"{n} run folder{'s' * (n > 1)} here belong{'s' * (n == 1)} to another protocol, data "
        "set or version of the program: kept, but not used."
    )


def load_study(path: Path | str) -> Study:
    """Open a study's folder.

    The protocol is the one that was run, whatever has become of `protocol.yaml` since.

    Raises:
        VitrialError: There is no study there.
        DamagedError: What says what it is, is damaged.
    """
    path = Path(path)
    if not holds_study(path):
        raise VitrialError(
            f"{path} holds no study: name the folder that `vitrial run` printed, or run one first."
        )
    record = read_record(path / STUDY, way_out_of(path), ("stages",))
    if KNOWN not in record:
        raise VitrialError(
            f"{path} has no run yet: `vitrial run {shlex.quote(str(path))}` begins or resumes it."
        )
    facts = read_typed(Facts, path / STUDY, way_out_of(path), legacy.facts)
    if REGISTERED not in record:  # of an older program
        return Study(path, load_protocol(path / PROTOCOL, build=False), facts)
    protocol = protocol_of(record)
    return Study(path, protocol, facts, tuple(edited(path, protocol)))
