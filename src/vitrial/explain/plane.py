"""Test images in a plane, those that an arm makes alike of near each other."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitrial.atomic import replacing
from vitrial.events import counted
from vitrial.explain.features import Features, first_runs, read_features
from vitrial.explain.versions import FEATURES as COMPUTED
from vitrial.explain.versions import PLANE as VERSION
from vitrial.layout import EXPLANATIONS, FEATURES
from vitrial.records import DamagedError, read_bytes, read_record, reading, write_record
from vitrial.store.study import Study

MOST = 2000
"""Test images of a plane: more are drawn from, for t-SNE takes seconds for every thousand."""
FEWEST = 10
"""Of fewer images nothing can be seen."""
COMPONENTS = 50
"""Principal components that distances are computed from, as van der Maaten and Hinton (2008) do."""
PERPLEXITY = 30.0


@dataclass(frozen=True)
class Plane:
    """Test images of an arm's first run.

    Attributes:
        places: float32 (n, 2); distances between groups that are far apart mean nothing.
        target: int64 (n,) class indices.
    """

    places: np.ndarray
    target: np.ndarray


def plane(features: Features) -> Plane | None:
    """Place test images by t-SNE (van der Maaten and Hinton 2008), the same for the same features.

    Returns:
        None where there are too few images, or nothing that tells them apart.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    test = np.flatnonzero(features.split == "test")
    if len(test) > MOST:
        test = np.sort(np.random.default_rng(0).choice(test, MOST, replace=False))
    values = features.values[test].astype(np.float64)
    if len(test) < FEWEST or not (spread := values.std(axis=0)).any():
        return None
    values = values[:, spread > 0]
    most = min(COMPONENTS, *values.shape)
    reduced = PCA(most, svd_solver="covariance_eigh").fit_transform(values)
    found = TSNE(
        init="pca" if most > 1 else "random",
        perplexity=min(PERPLEXITY, (len(test) - 1) / 3),
        random_state=0,
    ).fit_transform(reduced)
    return Plane(found.astype(np.float32), features.target[test])


def write_planes(study: Study) -> None:
    """Compute the plane of each arm whose features are on disk, where it is not there already."""
    folders, found = first_runs(study), read_features(study)
    for arm, features in counted(list(found.items()), "maps of features"):
        path = _path(study, folders[arm].path.name)
        try:
            _read(path)
        except DamagedError:  # or absent
            if (placed := plane(features)) is not None:
                with replacing(path) as temporary, temporary.open("wb") as file:
                    np.savez(file, allow_pickle=False, **vars(placed))
                write_record(path.with_suffix(".json"), {}, [path.name])


def read_planes(study: Study) -> dict[str, Plane]:
    """The planes of a study, by the arm's name; those that were computed.

    Raises:
        DamagedError: A file is not what was written.
    """
    paths = {arm: _path(study, folder.path.name) for arm, folder in first_runs(study).items()}
    return {arm: _read(path) for arm, path in paths.items() if path.exists()}


def _path(study: Study, run: str) -> Path:
    return study.path / EXPLANATIONS / FEATURES / f"{run}-plane-{COMPUTED}-{VERSION}.npz"


def _read(path: Path) -> Plane:
    way_out = f"`vitrial explain {shlex.quote(str(path.parents[2]))}` recomputes it"
    read_bytes(path, read_record(path.with_suffix(".json"), way_out), way_out)
    with reading(path, way_out), np.load(path, allow_pickle=False) as arrays:
        return Plane(**arrays)
