"""Data sets that were made in Python: a `vitrial.Dataset` in place of a source's keys."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from vitrial.data.about import About
from vitrial.data.manifest import Dataset
from vitrial.errors import VitrialError
from vitrial.protocol import Protocol, digest
from vitrial.protocol.data import DataSection

ABOUT = About(
    title="Python: a data set that a program of yours has made",
    license="your own",
    where="your own program: vitrial.run(protocol, data=dataset)",
    layout=(
        "A vitrial.Dataset: a manifest with the columns image, label and group, the class names, "
        "and a reader of the images. It is known in the process that has made it, and nowhere else."
    ),
    size="as many images and classes as the manifest names",
)


class PythonData(DataSection):
    """A `vitrial.Dataset` that was given in this process.

    Attributes:
        name: Of the data set.
        content: Digest of its manifest, its classes and its reader's stamps.
    """

    source: Literal["python"]
    name: str = Field(examples=["NAME"])
    content: str = Field(examples=["DIGEST"])

    known_classes: ClassVar[bool] = True


DATA = PythonData
COLUMNS = ("image", "label", "group")

_given: dict[str, Dataset] = {}
"""By their digests, the data sets of this process."""


def load(data: PythonData) -> Dataset:
    """The data set that was given.

    Raises:
        VitrialError: It was given in another process, or has changed since.
    """
    if data.content not in _given:
        raise VitrialError(
            f"The data set {data.name} was made in Python and is not known here, or has changed: "
            "make it again and give it to vitrial.run(protocol, data=dataset)."
        )
    return _given[data.content]


def give(dataset: Dataset) -> PythonData:
    """Make a data set known in this process.

    Returns:
        What a protocol names it by; it changes with the manifest, the classes and the stamps.

    Raises:
        VitrialError: The manifest lacks a column, names an image twice or an unknown class.
    """
    table = dataset.manifest
    if missing := [name for name in COLUMNS if name not in table]:
        raise VitrialError(f"The manifest of {dataset.name} lacks {', '.join(missing)}: add it.")
    if twice := table["image"][table["image"].duplicated()].tolist():
        raise VitrialError(f"The manifest of {dataset.name} names {twice[0]!r} twice: drop a row.")
    if unknown := sorted(set(table["label"].astype(str)) - set(dataset.classes)):
        raise VitrialError(f"{dataset.name} has labels that are no classes: {', '.join(unknown)}.")
    stamps = [dataset.reader.stamp(image) for image in table["image"]]
    content = digest([dataset.classes, table.to_csv(index=False), stamps])
    _given[content] = dataset
    return PythonData(source="python", name=dataset.name, content=content)


def with_dataset(protocol: Protocol, dataset: Dataset) -> Protocol:
    """The protocol with this data set in place of its own; `limit`, `classes` and so on stay.

    Raises:
        VitrialError: As for `give`.
    """
    kept = {key: getattr(protocol.data, key) for key in DataSection.model_fields if key != "source"}
    return protocol.model_copy(update={"data": give(dataset).model_copy(update=kept)})
