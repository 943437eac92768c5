"""Explaining a study: every arm's maps on the same images, measured and shown."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vitrial.atomic import replacing, write_text
from vitrial.errors import VitrialError
from vitrial.events import Listener, Note, counted, counting, listening, tell
from vitrial.explain.features import write_features
from vitrial.explain.images import drawn_images, name_of_images, own_images, study_data
from vitrial.explain.maps import check_method, note_on
from vitrial.explain.measure import TrainedModel, measure
from vitrial.explain.measures.sanity import changes
from vitrial.explain.plane import write_planes
from vitrial.explain.shown import Shown, ShownMap, write_shown
from vitrial.explain.subject import Subject
from vitrial.explain.trained import load_model, random_model
from vitrial.explain.versions import MEASURES as MEASURED
from vitrial.explain.versions import SANITY as RANDOMIZED
from vitrial.explain.versions import version_of
from vitrial.layout import EXPLAINED, EXPLANATIONS, MEASURES, PARTS, SANITY, SHOWN
from vitrial.models.family import family
from vitrial.protocol import digest
from vitrial.records import DamagedError, read_record, read_table, write_record
from vitrial.store.facts import Entry
from vitrial.store.program import program
from vitrial.store.run_folder import RunFolder
from vitrial.store.study import Study

SANITY_IMAGES = 16
"""On which maps are compared as the weights are randomized."""
MOST_SHOWN, MOST_WRONG = 8, 2
"""Images of Figure 1: one a class, up to 8; and of those that a model gets wrong."""

Run = tuple[Entry, RunFolder]


def explain_study(
    study: Study,
    images: int | Path | None = 100,
    *,
    methods: list[str] | None = None,
    repetition: int | None = None,
    faithful: bool = True,
    root: Path | None = None,
    cache: Path | None = None,
    listen: Listener | None = None,
) -> Path:
    """Explain the answers of every arm on the same images.

    What is done is kept, model by model and method by method: an interrupted call goes on when it
    is repeated, and one with other images, weights or versions begins anew.

    Args:
        study: With finished runs.
        images: How many test images, drawn by their names; None for all; or a folder, .zip or file
            of images of your own.
        methods: Of `vitrial.explain.methods`; all that fit each model if left out.
        repetition: Which run of each arm; all of them if left out. Of a single one, intervals are
            of that trained model alone.
        faithful: Whether to measure deletion and insertion too, which takes longest.
        root: Where the data lie now, in place of the protocol's data.root.
        cache: Where pixel caches lie.
        listen: Called with each event of `vitrial.events`; the terminal shows them if left out.

    Returns:
        The folder with `measures.parquet`, `sanity.parquet` and `shown.npz`: `explanations` in the
        study's, with the features of all images besides, or `explanations-NAME` for images of
        your own (a digest if they are DICOM).

    Raises:
        VitrialError: No run is done, a method is unknown, or the data are not the study's.
    """
    for method in methods or []:
        check_method(method)
    runs = [run for run in study.runs() if repetition in (None, run[0].repetition)]
    if not runs:
        which = "" if repetition is None else f" of repetition {repetition}"
        raise VitrialError(
            f"{study.path} has no finished run{which}: `vitrial status` shows what there is."
        )
    with listening(listen):
        if isinstance(images, Path):
            subject = own_images(images, study.protocol, cache)
            folder = study.path / f"{EXPLANATIONS}-{name_of_images(images, subject)}"
        else:
            data = study_data(study, root, cache)
            subject = drawn_images(study, data, images, root)
            folder = study.path / EXPLANATIONS
            write_features(study, data)
            write_planes(study)
        return _explain(runs, subject, folder, methods, faithful)


def _explain(
    runs: list[Run], subject: Subject, folder: Path, methods: list[str] | None, faithful: bool
) -> Path:
    """Measure and show every run's maps; the folder, when all is written."""
    tables, checks = [], []
    parts = _Parts(folder / PARTS, subject, faithful)
    for run in runs:
        trained = load_model(run[1].path)
        wanted = _wanted(trained, methods)
        for note in {note_on(trained.model, method) for method in wanted} - {""}:
            tell(Note(f"{run[0].name}: {note}"))
        columns = _columns(run) | {"family": family(trained.model)}
        for method in [*wanted, *trained.baselines(wanted)] if wanted else []:
            table = parts.measures(run, trained, method)
            tell(Note(f"done    {run[0].name}: {method}"))
            tables.append(table.assign(**columns, method=method))
        checks += [parts.sanity(run, trained, m).assign(**columns) for m in wanted]
    if not tables:
        raise VitrialError(f"None of the arms has what {' and '.join(methods or [])} reads.")
    measures = pd.concat(tables, ignore_index=True)
    for found, name in ((measures, MEASURES), (pd.concat(checks), SANITY)):
        with replacing(folder / name) as temporary:
            found.to_parquet(temporary, index=False)
    first = list({run[0].arm: run for run in reversed(runs)}.values())[::-1]
    write_shown(show(first, subject, measures, methods), folder / SHOWN)
    made_by = {"program": program() | {"captum": version("captum")}}
    write_record(folder / EXPLAINED, made_by, [MEASURES, SANITY, SHOWN])
    _tell_unread(subject, measures, folder)
    return folder


def show(
    runs: list[Run], subject: Subject, measures: pd.DataFrame, methods: list[str] | None = None
) -> list[Shown]:
    """The images of Figure 1 with the map of each run: its attention, or else its Grad-CAM."""
    runs_shown = {(run[0].arm, run[0].repetition) for run in runs}
    answered = zip(measures["arm"], measures["repetition"], strict=True)
    theirs = measures[[run in runs_shown for run in answered]]
    wrong = theirs.loc[theirs["answer"] != theirs["label"], "image"]
    drawn = drawn_rows(subject.rows, set(wrong))
    pixels = subject.pixels(drawn)
    shown: list[list[ShownMap]] = [[] for _ in pixels]
    for run in runs:
        trained = load_model(run[1].path)
        wanted = _wanted(trained, methods)
        if not wanted:
            continue
        method = trained.headline if trained.headline in wanted else wanted[0]
        found = trained.maps(pixels, method)
        answers = found.answers(trained.classes)
        for i, maps in enumerate(shown):
            heads = None if found.heads is None else found.heads[i]
            maps.append(ShownMap(run[0].arm, method, *answers[i], found.values[i], heads))
    return [
        Shown(row["image"], row["label"], picture, subject.mask(row), maps)
        for row, picture, maps in zip(
            drawn.to_dict("records"), subject.central(pixels), shown, strict=True
        )
    ]


def drawn_rows(rows: pd.DataFrame, wrong: set[str]) -> pd.DataFrame:
    """The first image of each class, then two that a model gets wrong, in the order of the draw."""
    if rows["label"].eq("").all():
        return rows.iloc[:MOST_SHOWN]
    first = rows.drop_duplicates("label").sort_values("target").iloc[:MOST_SHOWN]
    others = rows[rows["image"].isin(wrong) & ~rows["image"].isin(first["image"])]
    return pd.concat([first, others.iloc[:MOST_WRONG]], ignore_index=True)


class _Parts:
    """What is measured of one model, on disk as soon as it is known, with its checksum beside it.

    Args:
        folder: Where parts lie.
        subject: The images.
        faithful: Whether deletion and insertion are measured.
    """

    def __init__(self, folder: Path, subject: Subject, faithful: bool) -> None:
        self.folder, self.subject, self.faithful = folder, subject, faithful
        self.images = subject.fingerprint()

    def measures(self, run: Run, trained: TrainedModel, method: str) -> pd.DataFrame:
        """A row per image: see `vitrial.explain.measure.measure`."""
        path = self._path(run, method, version_of(method), MEASURED, self.faithful)
        if (found := _read_part(path)) is None:
            with counting(f"{run[0].name}: {method}", len(self.subject.rows)) as advance:
                table = measure(trained, self.subject, method, self.faithful, advance)
            found = _write_part(table, path)
        return found

    def sanity(self, run: Run, trained: TrainedModel, method: str) -> pd.DataFrame:
        """Columns method, step, layers, image, correlation."""
        path = self._path(run, f"{method}-sanity", version_of(method), RANDOMIZED)
        if (found := _read_part(path)) is None:
            rows = self.subject.rows.iloc[:SANITY_IMAGES]
            images = trained.view(self.subject.pixels(rows))
            # A second copy is randomized, for the first is asked again.
            model, fresh = load_model(run[1].path).model, random_model(run[1].path)
            steps = [(0, "nothing", np.ones(len(rows)))]
            with trained.autocast():
                found_steps = changes(model, fresh.to(images.device), images, method)
                steps += counted(found_steps, f"{run[0].name}: sanity of {method}")
            names = rows["image"].to_numpy()
            tables = [
                pd.DataFrame({"image": names, "step": step, "layers": layers, "correlation": left})
                for step, layers, left in steps
            ]
            found = _write_part(pd.concat(tables).assign(method=method), path)
        return found

    def _path(self, run: Run, what: str, *decisive: int) -> Path:
        key = digest([run[0].folder, what, self.images, *decisive])
        return self.folder / f"{run[1].path.name}-{what}-{key}.parquet"


def _read_part(path: Path) -> pd.DataFrame | None:
    """What was measured before; None where it was not, or is damaged."""
    try:
        record = read_record(path.with_suffix(".json"), "")
        return read_table(path, record, "")
    except DamagedError:
        return None


def _write_part(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Write what was measured; as it will be read."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)
    write_record(path.with_suffix(".json"), {}, [path.name])
    return pd.read_parquet(path)


def _tell_unread(subject: Subject, measures: pd.DataFrame, folder: Path) -> None:
    """List the masks that cannot be read, whether they were met now or in an earlier call."""
    unmeasured = set(measures.loc[measures["lesion"].isna(), "image"])
    for row in subject.rows[subject.rows["image"].isin(unmeasured)].to_dict("records"):
        subject.mask(row)
    path = folder / "unread_masks.txt"
    path.unlink(missing_ok=True)
    if subject.unread:
        lines = (f"{image}: {why}\n" for image, why in subject.unread.items())
        write_text(path, "".join(lines))
        tell(Note(f"{len(subject.unread)} masks cannot be read and count as none: see {path}."))


def _wanted(trained: TrainedModel, methods: list[str] | None) -> list[str]:
    """The methods that fit a model, of those asked for."""
    return [method for method in trained.methods if methods is None or method in methods]


def _columns(run: Run) -> dict[str, Any]:
    names = ("arm", "backbone", "initialization", "repetition")
    return {name: getattr(run[0], name) for name in names}
