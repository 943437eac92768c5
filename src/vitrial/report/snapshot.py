"""A study as one page shows it: every table is read or computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from vitrial.compare.aligned import Aligned, align
from vitrial.compare.cautions import Run, comparable_runs
from vitrial.compare.findings import Finding
from vitrial.data.audit.record import Audit
from vitrial.errors import Problem
from vitrial.explain.explained import Explained, read_explained
from vitrial.explain.plane import Plane, read_planes
from vitrial.layout import EXPLANATIONS
from vitrial.metrics import ENDPOINTS
from vitrial.metrics.metric import Metric
from vitrial.protocol import Protocol
from vitrial.records import Record
from vitrial.store.analyses import Analyses, read_analyses
from vitrial.store.costs import arm_costs, read_costs
from vitrial.store.data_size import DataSize, data_size
from vitrial.store.facts import Facts
from vitrial.store.finished import FinishedRun, on_all_images, scores_of, table_of
from vitrial.store.history import Entry, read_history
from vitrial.store.study import Study
from vitrial.store.trial import findings_of


@dataclass(frozen=True)
class Snapshot:
    """What lies on disk of a study, read when it is first asked for and kept from then on.

    Reading raises `DamagedError` where a file is not what was written.

    Attributes:
        study: The study.
    """

    study: Study

    @property
    def protocol(self) -> Protocol:
        """The experiment."""
        return self.study.protocol

    @property
    def facts(self) -> Facts:
        """What `study.json` says."""
        return self.study.facts

    @property
    def endpoint(self) -> Metric:
        """The primary endpoint."""
        return ENDPOINTS[self.protocol.endpoint]

    @property
    def classes(self) -> list[str]:
        """Class names, by class index."""
        return list(self.facts.classes)

    @cached_property
    def runs_of_all_sizes(self) -> list[FinishedRun]:
        """The finished runs, those on parts of the training images too."""
        return self.study.finished()

    @cached_property
    def runs(self) -> list[FinishedRun]:
        """The finished runs on all training images, with their predictions."""
        return on_all_images(self.runs_of_all_sizes)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """See `Study.scores`."""
        return scores_of(self.runs)

    @cached_property
    def table(self) -> pd.DataFrame:
        """See `Study.table`."""
        return table_of(self.protocol, self.scores)

    @cached_property
    def caption(self) -> str:
        """See `Study.caption`."""
        return self.study.caption()

    @cached_property
    def findings(self) -> list[Finding]:
        """See `Study.verdict`."""
        return findings_of(self.protocol, self.runs)

    @cached_property
    def test(self) -> Aligned | None:
        """The runs that can be compared, on the test images; None before one is finished."""
        runs = [Run(run.entry.arm, run.entry.repetition or 1, run.test) for run in self.runs]
        comparable, _ = comparable_runs(runs)
        named = [
            (f"{run.arm}, repetition {run.repetition}", run.arm, run.test) for run in comparable
        ]
        return align(named, "test") if named else None

    @cached_property
    def data_size(self) -> DataSize | None:
        """The endpoint over the number of training images; None for one size."""
        return data_size(self.protocol, self.runs_of_all_sizes)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """See `Study.metrics`."""
        return self.study.metrics()

    @cached_property
    def status(self) -> pd.DataFrame:
        """See `Study.status`."""
        return self.study.status()

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """See `Study.manifest`."""
        return self.study.manifest()

    @cached_property
    def problems(self) -> list[Problem]:
        """See `Study.problems`."""
        return self.study.problems()

    @cached_property
    def audit(self) -> Audit | None:
        """See `Study.audit`."""
        return self.study.audit()

    @cached_property
    def amendments(self) -> list[str]:
        """See `Study.amendments`."""
        return self.study.amendments()

    @cached_property
    def history(self) -> list[Entry]:
        """Every protocol that the study was run with; none in one of an older program."""
        return read_history(self.study.path)

    @cached_property
    def selfsupervision(self) -> pd.DataFrame:
        """See `Study.selfsupervision`."""
        return self.study.selfsupervision()

    @cached_property
    def secondary(self) -> Analyses | None:
        """What `vitrial analyze` found; None where it was not run."""
        return read_analyses(self.study)

    @cached_property
    def costs(self) -> Record | None:
        """What `vitrial cost` measured; None where it was not run."""
        return read_costs(self.study)

    @cached_property
    def arm_costs(self) -> pd.DataFrame | None:
        """The arms with endpoint and cost; None where `vitrial cost` was not run."""
        costs = self.costs
        return None if costs is None else arm_costs(self.protocol, self.scores, costs)

    @cached_property
    def planes(self) -> dict[str, Plane]:
        """Test images by the features of each arm; none where `vitrial explain` was not run."""
        return read_planes(self.study)

    @cached_property
    def explained(self) -> Explained | None:
        """What `vitrial explain` found on test images; None where it was not run."""
        return read_explained(self.study.path / EXPLANATIONS)
