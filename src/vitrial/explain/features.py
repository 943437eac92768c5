"""What each arm makes of every image before its head: pooled features, as they lie on disk."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vitrial.atomic import replacing
from vitrial.data.batches import CachedImages
from vitrial.data.prepared import Prepared
from vitrial.evaluate.predict import predict
from vitrial.events import counting
from vitrial.explain.measure import BATCH, TrainedModel
from vitrial.explain.trained import load_model
from vitrial.explain.versions import FEATURES as VERSION
from vitrial.layout import EXPLANATIONS, FEATURES
from vitrial.records import DamagedError, read_bytes, read_record, reading, write_record
from vitrial.store.run_folder import RunFolder
from vitrial.store.study import Study

LARGEST = np.finfo(np.float16).max


@dataclass(frozen=True)
class Features:
    """What one arm makes of every image of a study.

    Attributes:
        images: (n,) their names in the manifest.
        split: (n,) `train`, `val` or `test`.
        target: int64 (n,) class indices.
        values: float16 (n, features), what the head reads.
    """

    images: np.ndarray
    split: np.ndarray
    target: np.ndarray
    values: np.ndarray


def first_runs(study: Study) -> dict[str, RunFolder]:
    """The first finished repetition of each arm, by the arm's name."""
    found: dict[str, RunFolder] = {}
    for run, folder in study.runs():
        found.setdefault(run.arm, folder)
    return found


def write_features(study: Study, data: Prepared) -> None:
    """Compute the features of each arm's first run, where they are not on disk already.

    Args:
        study: With finished runs.
        data: The study's.
    """
    for arm, folder in first_runs(study).items():
        path = _path(study, folder)
        try:
            _read(path)
        except DamagedError:  # or absent
            _write(compute_features(load_model(folder.path), data, arm), path)


def read_features(study: Study) -> dict[str, Features]:
    """The features of each arm's first run, by the arm's name; those that were computed.

    Raises:
        DamagedError: A file is not what was written.
    """
    paths = {arm: _path(study, folder) for arm, folder in first_runs(study).items()}
    return {arm: _read(path) for arm, path in paths.items() if path.exists()}


def compute_features(trained: TrainedModel, data: Prepared, arm: str) -> Features:
    """Ask a model for the features of every image of a data set; `arm` names it in progress."""
    rows = pd.concat([data.rows_of(split) for split in ("train", "val", "test")])
    values = []
    with counting(f"{arm}: features", len(rows)) as advance:
        for part in np.array_split(rows["row"].to_numpy(), -(-len(rows) // BATCH)):
            images = CachedImages(data.cache, part, np.zeros(len(part), dtype=np.int64))
            _, features = predict(trained.model, images, trained.view, trained.autocast, BATCH, 0)
            values.append(features.clip(-LARGEST, LARGEST).astype(np.float16))
            advance(len(part))
    names, splits = (rows[column].to_numpy(dtype=str) for column in ("image", "split"))
    return Features(names, splits, rows["target"].to_numpy(np.int64), np.concatenate(values))


def _path(study: Study, folder: RunFolder) -> Path:
    return study.path / EXPLANATIONS / FEATURES / f"{folder.path.name}-{VERSION}.npz"


def _write(features: Features, path: Path) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **vars(features))
    write_record(path.with_suffix(".json"), {}, [path.name])


def _read(path: Path) -> Features:
    way_out = f"`vitrial explain {shlex.quote(str(path.parents[2]))}` recomputes it"
    read_bytes(path, read_record(path.with_suffix(".json"), way_out), way_out)
    with reading(path, way_out), np.load(path, allow_pickle=False) as arrays:
        return Features(**arrays)
