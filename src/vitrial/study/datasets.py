"""The data sets of a study, ready for training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vitrial.data.batches import Part, UnlabeledImages
from vitrial.data.prepared import Prepared, pixel_statistics, prepare_data
from vitrial.data.unlabeled import prepare_unlabeled
from vitrial.errors import DataError, Problem, VitrialError
from vitrial.events import Note, tell
from vitrial.protocol import Arm, Image, Protocol
from vitrial.store.registration import registered_protocol
from vitrial.store.stage import Stage
from vitrial.study.plan import sources_used
from vitrial.tasks import task_of


@dataclass(frozen=True)
class Unlabeled:
    """Images without labels, ready for self-supervision.

    Attributes:
        images: All of them.
        mean: Of their pixels, for each channel, in [0, 1].
        std: Likewise.
    """

    images: UnlabeledImages
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def without_labels(self) -> UnlabeledImages:
        """All of them."""
        return self.images


Trainable = Prepared | Unlabeled
Datasets = Mapping[str, Trainable]
"""By name: `data`, and the entries of `sources` that are used."""


def data_of(study: Path, stage: Stage, cache: Path | None = None) -> Trainable:
    """What a stage trains on, by the registered protocol, with the labels that it may use.

    Args:
        study: The study's folder.
        stage: One of its stages.
        cache: Where pixel caches lie.

    Raises:
        DataError: Something in the data is wrong, with everything that is.
        VitrialError: They are not those that the stage was planned for.
    """
    if stage.images is not None:
        return chosen(stage, {stage.dataset: prepare_folder(stage.images, stage.image, cache)})
    protocol = registered_protocol(study)
    # Of the sources only the one that the stage trains on is prepared.
    arm = stage.arm if stage.kind == "pretrain" else Arm(backbone=stage.arm.backbone)
    protocol = protocol.model_copy(update={"arms": [arm]})
    return chosen(stage, prepare_datasets(protocol, cache))


def chosen(stage: Stage, datasets: Datasets) -> Trainable:
    """Of a study's data sets the one that a stage trains on, with what it may use of it.

    Raises:
        VitrialError: It is not what the stage was planned for.
    """
    data = datasets[stage.dataset]
    fingerprint = data.fingerprint() if isinstance(data, Prepared) else None
    unlabeled = None if stage.unlabeled is None else data.without_labels().fingerprint()
    if (fingerprint, unlabeled) != (stage.data, stage.unlabeled):
        raise VitrialError(
            f"The data of {stage.name} have changed since it was planned: run the study again."
        )
    if not isinstance(data, Prepared):
        return data
    if stage.fraction is not None:
        data = data.training_fraction(stage.fraction.share, stage.fraction.seed)
    if stage.labeled is not None:
        data = data.labeled_subset(stage.labeled.share, stage.labeled.seed)
    return data


def prepare_folder(root: Path, image: Image, cache: Path | None = None) -> Unlabeled:
    """Every image below a folder or .zip that can be used, ready for self-supervision alone.

    Raises:
        DataError: There is none.
    """
    key = "the folder of images"
    part, problems = prepare_unlabeled(root, image, cache, on_problem="leave_out", key=key)
    if left_out := sum(problem.fatal for problem in problems):
        tell(Note(f"{left_out} images cannot be used and are left out."))
    return Unlabeled(UnlabeledImages([part]), *pixel_statistics(*part))


def prepare_datasets(protocol: Protocol, cache: Path | None = None) -> dict[str, Prepared]:
    """The data set `data` and the sources that arms transfer from, ready for training.

    Images of the data set's validation and test splits, and copies of them, are left out of the
    sources and of the unlabeled images.

    Raises:
        DataError: Something in any of them is wrong, with everything that is.
    """
    prepared: dict[str, Prepared] = {}
    errors: list[DataError] = []
    # A source has columns of its own.
    of_source = protocol.split.model_copy(update={"stratify": []})
    held_out: Part | None = None
    for name, section in {"data": protocol.data, **sources_used(protocol)}.items():
        split = protocol.split if name == "data" else of_source
        graded = name == "data" and task_of(protocol.endpoint).ordered
        graded_by = protocol.endpoint if graded else None
        try:
            data = prepare_data(section, split, protocol.image, cache, held_out, graded_by)
        except DataError as error:
            errors.append(error)
            continue
        prepared[name] = data
        if name == "data":
            held_out = data.held_out()
    try:
        further = _further(protocol, cache, held_out)
    except DataError as error:
        errors.append(error)
    if errors:
        problems = [problem for error in errors for problem in error.problems]
        raise DataError(" ".join(map(str, errors)), problems)
    prepared["data"] = replace(
        prepared["data"],
        further=[part for part, _ in further],
        problems=prepared["data"].problems + [p for _, problems in further for p in problems],
    )
    return prepared


def fingerprints(datasets: dict[str, Prepared]) -> dict[str, str]:
    """What the plan has to know of the data: see `plan`."""
    unlabeled = datasets["data"].without_labels().fingerprint()
    return {name: data.fingerprint() for name, data in datasets.items()} | {"unlabeled": unlabeled}


def _further(
    protocol: Protocol, cache: Path | None, held_out: Part | None
) -> list[tuple[Part, list[Problem]]]:
    """The protocol's images without labels, and what is wrong with them."""
    if protocol.unlabeled is None:
        return []
    return [
        prepare_unlabeled(
            protocol.unlabeled,
            protocol.image,
            cache,
            on_problem=protocol.data.on_problem,
            held_out=held_out,
        )
    ]
