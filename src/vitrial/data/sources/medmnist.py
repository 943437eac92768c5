"""MedMNIST v2: Yang, Shi, Wei, Liu, Zhao, Ke, Pfister, Ni, Scientific Data 10:41, 2023."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from pydantic import Field

from vitrial.data.about import About
from vitrial.data.cache import default_root
from vitrial.data.io.download import download
from vitrial.data.io.npz import ABOUT as UNPACKED
from vitrial.data.io.npz import Expected, unpack
from vitrial.data.manifest import Dataset
from vitrial.errors import Problem, VitrialError
from vitrial.protocol.data import DataSection
from vitrial.protocol.section import AbsolutePath
from vitrial.spelling import did_you_mean

ARCHIVE = "https://zenodo.org/records/10519652/files"
SIZES = (28, 64, 128, 224)
SPLITS = ("train", "val", "test")
SLACK = 1.01
"""Earlier releases have up to 0.6 % more images in a split."""
NAME = re.compile(r"(train|val|test)/(\d{5,9})\.png")
CITATION = (
    "J. Yang, R. Shi, D. Wei, Z. Liu, L. Zhao, B. Ke, H. Pfister, B. Ni: MedMNIST v2, a "
    "large-scale lightweight benchmark for 2D and 3D biomedical image classification. Scientific "
    "Data 10:41, 2023."
)


class MedMnistData(DataSection):
    """MedMNIST v2 (Yang et al., Sci. Data 2023): small 2-D sets with official splits.

    Attributes:
        name: Of the set, such as `dermamnist`.
        size: Side of its images in pixels.
        root: Folder of the .npz files; one that is not there is downloaded into it.
        finding: Of the multi-label `chestmnist`, the finding to tell from its absence; any
            finding if left out.
    """

    source: Literal["medmnist"]
    name: str = Field(examples=["dermamnist"])
    size: Literal[28, 64, 128, 224] = 28
    root: AbsolutePath = Field(Path("~/.cache/vitrial/medmnist"), validate_default=True)
    finding: str | None = None

    first_key: ClassVar[str | None] = "name"
    sized: ClassVar[bool] = True
    known_classes: ClassVar[bool] = True
    downloads: ClassVar[bool] = True

    def unordered(self) -> str:
        """Its classes, but for grades, and but for two."""
        return "" if self.name in ORDERED_OR_TWO else f"those of {self.name}"


DATA = MedMnistData
ORDERED_OR_TWO = ("retinamnist", "breastmnist", "chestmnist", "pneumoniamnist")
"""The sets whose classes are ordered grades, or only two."""


@dataclass(frozen=True)
class Facts:
    """What is known of a set.

    Attributes:
        what: What its images show.
        license: Terms of use.
        channels: 1 or 3.
        images: Number of images by split.
        md5: Checksum of the .npz file by side in pixels.
        classes: Class names, or findings, in the order of the labels.
        multilabel: Whether an image has any number of the findings.
    """

    what: str
    license: str
    channels: int
    images: dict[str, int]
    md5: dict[int, str]
    classes: list[str]
    multilabel: bool = False


@cache
def facts() -> dict[str, Facts]:
    """What is known of each set, by name."""
    text = resources.files("vitrial.data.sources").joinpath("medmnist.yaml").read_text("utf-8")
    return {name: Facts(**known) for name, known in yaml.safe_load(text).items()}


def about_part(name: str) -> About:
    """What a user should know of one set.

    Args:
        name: Such as `dermamnist` or `dermamnist@64`.

    Raises:
        VitrialError: There is no such set or size; with the nearest.
    """
    name, _, text = name.partition("@")
    known = _known(name)
    if text and text not in map(str, SIZES):
        raise VitrialError(f"There is no {name} of {text} pixels: there are {_listing(SIZES)}.")
    size = int(text or 28)
    each = ", ".join(f"{known.images[split]:,} {split}" for split in SPLITS)
    labels = "findings, any number per image" if known.multilabel else "classes"
    return About(
        title=f"{name}: {known.what}, of MedMNIST v2",
        license=known.license,
        where=f"{_url(name, size)} (downloaded into `root` where it is not there)",
        layout=f"{_file(name, size)} in `root`",
        size=(
            f"{sum(known.images.values()):,} images of {size} x {size} pixels ({each}) in "
            f"{len(known.classes)} {labels}"
        ),
        classes=tuple(known.classes),
        citation=CITATION,
    )


class Arrays:
    """Reads a set's images as PNG files, such as `train/00012.png`, from unpacked arrays.

    An array is mapped for one call alone, so that only the images in use are in memory.

    Args:
        folder: `train_images.npy` and the others.
        md5: Of the .npz file.
    """

    def __init__(self, folder: Path, md5: str) -> None:
        self.folder, self.md5 = folder, md5

    def read(self, name: str) -> bytes:
        """An image: PNG bytes, gray or RGB, lossless.

        Raises:
            FileNotFoundError: There is no such image.
        """
        match = NAME.fullmatch(name)
        if match and name == _image(match[1], int(match[2])):
            images, index = self.array(f"{match[1]}_images"), int(match[2])
            if index < len(images):
                content = io.BytesIO()
                Image.fromarray(np.array(images[index])).save(content, "PNG", compress_level=1)
                return content.getvalue()
        raise FileNotFoundError(f"the set holds no '{name}'")

    def stamp(self, name: str) -> str:
        """The checksum of the .npz file."""
        return self.md5

    def array(self, name: str) -> np.ndarray:
        """An array as it is on disk, mapped: (n, side, side[, 3]) images or (n, ...) labels."""
        array: np.ndarray = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        return array


def load(data: MedMnistData) -> Dataset:
    """List a set's images, with their official splits; its file is downloaded if need be.

    Each image is a group of its own: MedMNIST does not say which are of the same patient. Of
    the multi-label chestmnist, classes are a finding and its absence, or any finding and none.

    Raises:
        VitrialError: There is no such set or finding, its file cannot be downloaded, or is
            damaged.
    """
    known = _known(data.name)
    finding = _finding(data, known)
    path = data.root / _file(data.name, data.size)
    if not path.exists():
        download(_url(data.name, data.size), path, known.md5[data.size])
    folder = unpack(path, _expected(known, data.size), default_root() / "medmnist")
    md5 = json.loads((folder / UNPACKED).read_text(encoding="utf-8"))["md5"]
    reader = Arrays(folder, md5)
    tables, problems = [], _notes(data, path, known, md5)
    for split in SPLITS:
        labels = np.array(reader.array(f"{split}_labels")).reshape(-1, _width(known))
        if len(labels) != (n := len(reader.array(f"{split}_images"))):
            raise VitrialError(
                f"'{path}' has {n:,} {split} images and {len(labels):,} labels: download it again."
            )
        table = pd.DataFrame({"image": [_image(split, i) for i in range(n)], "split": split})
        sound = pd.Series(((labels >= 0) & (labels < _values(known))).all(axis=1))
        problems += [
            Problem(
                name, f"has the label {label}, which the set does not have", "download it again"
            )
            for name, label in zip(table["image"][~sound], labels[~sound].tolist(), strict=True)
        ]
        names, index = _classes(known, finding, labels[sound])
        table = table[sound].assign(label=np.array(names, dtype=object)[index])
        tables.append(table)
    manifest = pd.concat(tables, ignore_index=True)
    manifest["group"] = manifest["image"]
    manifest = manifest[["image", "label", "group", "split"]]
    return Dataset(path.stem, manifest, names, reader, problems, has_files=False)


def _known(name: str) -> Facts:
    if name not in facts():
        raise VitrialError(
            f"MedMNIST has no 2-D set '{name}'{did_you_mean(name, facts()) or '.'} "
            f"Its sets are {_listing(facts())}."
        )
    return facts()[name]


def _finding(data: MedMnistData, known: Facts) -> str | None:
    if data.finding is None:
        return None
    if not known.multilabel:
        raise VitrialError(f"data.finding: {data.name} has classes, not findings: leave it out.")
    if data.finding not in known.classes:
        hint = did_you_mean(data.finding, known.classes) or "."
        raise VitrialError(
            f"data.finding: {data.name} has no finding '{data.finding}'{hint} Its findings are "
            f"{_listing(known.classes)}."
        )
    return data.finding


def _classes(known: Facts, finding: str | None, labels: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Class names in order, and the index of each image's class."""
    if not known.multilabel:
        return known.classes, labels[:, 0].astype(int)
    if finding is None:
        return ["no finding", "finding"], labels.any(axis=1).astype(int)
    return [f"no {finding}", finding], labels[:, known.classes.index(finding)].astype(int)


def _notes(data: MedMnistData, path: Path, known: Facts, md5: str) -> list[Problem]:
    what = "does not say which images are of the same patient; each is a group of its own"
    notes = [Problem(data.name, what, "nothing; the official splits are used", fatal=False)]
    if md5 != known.md5[data.size]:
        what = f"is not the archive's file: its MD5 is {md5} and not {known.md5[data.size]}"
        fix = f"download it again from {_url(data.name, data.size)} if it should be"
        notes.append(Problem(path.name, what, fix, fatal=False))
    return notes


def _expected(known: Facts, size: int) -> dict[str, Expected]:
    """What the six arrays of a set's file may be."""
    image = (size, size) if known.channels == 1 else (size, size, 3)
    labels = ((_width(known),), ()) if _width(known) == 1 else ((_width(known),),)
    most = {split: int(SLACK * count) for split, count in known.images.items()}
    return {
        **{f"{split}_images": Expected("u", (image,), most[split], 1) for split in SPLITS},
        **{f"{split}_labels": Expected("ui", labels, most[split], 8) for split in SPLITS},
    }


def _width(known: Facts) -> int:
    """Numbers that make up an image's label."""
    return len(known.classes) if known.multilabel else 1


def _values(known: Facts) -> int:
    return 2 if known.multilabel else len(known.classes)


def _image(split: str, index: int) -> str:
    return f"{split}/{index:05d}.png"


def _file(name: str, size: int) -> str:
    return f"{name}.npz" if size == 28 else f"{name}_{size}.npz"


def _url(name: str, size: int) -> str:
    return f"{ARCHIVE}/{_file(name, size)}"


def _listing(items: Iterable[object]) -> str:
    return ", ".join(map(str, items))


ABOUT = About(
    title="MedMNIST v2: twelve 2-D sets of small images with official splits",
    license="CC BY 4.0, dermamnist CC BY-NC 4.0",
    where=f"{ARCHIVE.removesuffix('/files')} (Zenodo; downloaded into `root` where not there)",
    layout=(
        "NAME.npz for 28 pixels, NAME_64.npz, NAME_128.npz or NAME_224.npz in `root`, as the "
        "archive names them. vitrial data info medmnist:NAME describes one set."
    ),
    size=f"{sum(sum(known.images.values()) for known in facts().values()):,} images in "
    f"{len(facts())} sets: {', '.join(facts())}",
    citation=CITATION,
)
