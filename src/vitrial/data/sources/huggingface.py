"""Image data sets in the layout of the `datasets` library, from a folder or Hugging Face's hub."""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd
from pydantic import Field, ValidationInfo, field_validator

from vitrial.data.about import About
from vitrial.data.io.files import LARGEST
from vitrial.data.manifest import SPLIT_NAMES, Dataset, in_order, own_name
from vitrial.data.names import trimmed
from vitrial.errors import Problem, VitrialError
from vitrial.protocol.data import DataSection
from vitrial.protocol.section import absolute
from vitrial.spelling import did_you_mean

ABOUT = About(
    title="Hugging Face: an image data set in the layout of the `datasets` library",
    license="that of the data set: see its card",
    where="https://huggingface.co/datasets, or a folder of your own; needs vitrial[huggingface]",
    layout=(
        "repo: OWNER/NAME on the hub, or a folder: class folders of images, images with a "
        "metadata.csv, or Parquet files. Splits called train, validation and test are used. No "
        "code of a data set is ever run."
    ),
    size="as many images and classes as there are",
)
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
SCALARS = ("bool", "int", "uint", "float", "string", "large_string")
"""How the names of types begin whose values are kept as further columns."""


class HuggingFaceData(DataSection):
    """An image data set in the layout of the `datasets` library: a local folder, or a hub's name.

    Attributes:
        repo: A folder, or `owner/name` on the hub.
        image: Feature that holds the image.
        label: Feature that holds the class.
        group: Feature of patients or lesions.
        config: Name of the configuration, where there are several.
    """

    source: Literal["huggingface"]
    repo: str = Field(examples=["OWNER/NAME"])
    image: str = "image"
    label: str = "label"
    group: str | None = None
    config: str | None = None

    @field_validator("repo")
    @classmethod
    def _folder(cls, repo: str, info: ValidationInfo) -> str:
        """A folder's absolute path; a name on the hub stays as it is."""
        path = absolute(Path(repo), info)
        return str(path) if repo.startswith((".", "/", "~", "$")) or path.is_dir() else repo

    first_key: ClassVar[str | None] = "repo"
    requires: ClassVar[tuple[str, str] | None] = ("huggingface", "datasets")


DATA = HuggingFaceData


class Rows:
    """Reads the images of loaded splits as they are encoded, such as `train/00012`.

    Args:
        splits: The image feature alone of each split, undecoded, by the split's own name.
        feature: The feature's name.
        roots: Folders in which files may lie that rows name instead of holding bytes; relative
            paths start at the first.
    """

    def __init__(self, splits: dict[str, Any], feature: str, roots: list[Path]) -> None:
        self.splits, self.feature = splits, feature
        self.roots = [Path(os.path.realpath(root)) for root in roots]

    def read(self, name: str) -> bytes:
        """The file of an image; may be called from several threads.

        Raises:
            VitrialError: It lies outside the data set's folder, or is too large for an image.
            OSError: It is missing or unreadable.
        """
        content, path = self._find(name)
        if content is not None:
            return content
        if path.stat().st_size > LARGEST:
            raise VitrialError(f"'{path.name}' is larger than 1 GiB: it cannot be an image.")
        return path.read_bytes()

    def stamp(self, name: str) -> str:
        """A text that changes when the image may have changed.

        Raises:
            VitrialError: As for `read`.
            OSError: The image is missing.
        """
        split, _, row = name.partition("/")
        content, path = self._find(name)
        text = f"{self.splits[split]._fingerprint}-{row}"
        if content is None:
            s = path.stat()
            text += f"-{s.st_size}-{s.st_mtime_ns}-{s.st_ctime_ns}-{s.st_ino}"
        return text

    def _find(self, name: str) -> tuple[bytes | None, Path]:
        """An image's bytes, or else the file that holds them."""
        split, _, row = name.partition("/")
        if split not in self.splits or not row.isdecimal() or int(row) >= len(self.splits[split]):
            raise FileNotFoundError(f"the data set has no '{name}'")
        image = self.splits[split][int(row)][self.feature] or {}
        if (content := image.get("bytes")) is not None:
            return content, Path()
        if not image.get("path"):
            raise FileNotFoundError(f"'{name}' has neither bytes nor a path")
        path = Path(os.path.realpath(self.roots[0] / image["path"]))
        if not any(path.is_relative_to(root) for root in self.roots):
            raise VitrialError(f"'{name}' is '{image['path']}', outside the data set's folder.")
        if not path.is_file():
            raise FileNotFoundError(f"there is no file '{image['path']}'")
        return None, path


def load(data: HuggingFaceData) -> Dataset:
    """List the images of all splits called train, val(idation) or test.

    A data set of one split is divided by the protocol. Features of a single number or text are
    kept as further columns.

    Raises:
        VitrialError: `datasets` is not installed, the data set cannot be loaded, or lacks a
            feature.
    """
    splits, roots = _open(data)
    parts, problems = _splits(splits, data.repo)
    tables = []
    for name, part in parts.items():
        _check(part.features, data)
        table = _table(name, part, data)
        if len(parts) > 1:
            table["split"] = SPLIT_NAMES[name.lower()]
        if table["label"].isna().all():
            problems.append(_note(f"split {name}", "has no label; it is not used"))
        else:
            tables.append(table)
    if not tables:
        raise VitrialError(f"No image of {data.repo} has a value of '{data.label}': name another.")
    manifest = pd.concat(tables, ignore_index=True)
    unlabeled = manifest["label"].isna()
    problems += [
        Problem(name, "has no label", "fill it in, or remove the row")
        for name in manifest["image"][unlabeled]
    ]
    manifest = manifest[~unlabeled].reset_index(drop=True)
    if data.group is not None and (alone := int((manifest["group"] == manifest["image"]).sum())):
        what = f"is empty in {alone} rows; each of these images is a group of its own"
        problems.append(_note(f"feature {data.group}", what))
    names = _class_names(next(iter(parts.values())).features[data.label])
    there = set(manifest["label"])
    classes = [name for name in names if name in there] if names else in_order(there)
    images = {name: _undecoded(part, data.image) for name, part in parts.items()}
    name = Path(data.repo).name
    reader = Rows(images, data.image, roots)
    named = all(map(_names_files, images.values(), repeat(data.image)))
    return Dataset(name, manifest, classes, reader, problems, has_files=named)


def _open(data: HuggingFaceData) -> tuple[dict[str, Any], list[Path]]:
    """Splits by name, and the folders in which their files may lie."""
    if find_spec("datasets") is None:
        raise VitrialError("Data sets of Hugging Face need: pip install 'vitrial[huggingface]'")
    import datasets
    from huggingface_hub import constants

    folder = Path(data.repo)
    if folder.is_absolute() and not folder.is_dir():
        raise VitrialError(f"data.repo: there is no folder '{folder}'.")
    if not folder.is_absolute() and not HUB_NAME.fullmatch(data.repo):
        raise VitrialError(
            f"data.repo: '{data.repo}' is neither a folder nor OWNER/NAME of a data set on the hub."
        )
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        # Scripts of data sets are not run: the library no longer can, from version 4.
        splits = datasets.load_dataset(data.repo, data.config)
    except (datasets.exceptions.DatasetsError, OSError, ValueError, RuntimeError) as error:
        hint = "" if folder.is_absolute() else "; without a network, name a local folder"
        raise VitrialError(
            f"data.repo: {data.repo} cannot be loaded ({_cause(error)}): correct repo or config"
            f"{hint}."
        ) from error
    # What lies in archives is unpacked in the first, what comes from the hub is in the second.
    caches = [Path(datasets.config.DOWNLOADED_DATASETS_PATH), Path(constants.HF_HUB_CACHE)]
    return dict(splits), [folder, caches[0]] if folder.is_absolute() else caches


def _cause(error: BaseException) -> str:
    """The first sentence of what lies behind an error of the library."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _splits(splits: dict[str, Any], repo: str) -> tuple[dict[str, Any], list[Problem]]:
    """The splits that are used, and a note on each that is not."""
    if len(splits) == 1:
        return splits, []
    known = {name: part for name, part in splits.items() if name.lower() in SPLIT_NAMES}
    if not known:
        raise VitrialError(
            f"{repo} has the splits {', '.join(splits)}: call those to be used train, validation "
            "and test."
        )
    what = "is not called train, validation or test; it is not used"
    return known, [_note(f"split {name}", what) for name in splits if name not in known]


def _check(features: Any, data: HuggingFaceData) -> None:
    """Refuse features that are not there, or are of another type."""
    import datasets

    wanted = {"image": data.image, "label": data.label, "group": data.group}
    for key, name in wanted.items():
        if name is not None and name not in features:
            hint = did_you_mean(name, features) or "."
            raise VitrialError(
                f"data.{key}: {data.repo} has no feature '{name}'{hint} Its features are "
                f"{', '.join(features)}."
            )
        if name is not None and key != "image" and not _is_scalar(features[name]):
            raise VitrialError(f"data.{key}: the feature '{name}' is no single number or text.")
    if not isinstance(features[data.image], datasets.Image):
        images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
        raise VitrialError(
            f"data.image: the feature '{data.image}' holds no images; those that do are: "
            f"{', '.join(images) or 'none'}."
        )


def _is_scalar(feature: Any) -> bool:
    return _class_names(feature) is not None or str(getattr(feature, "dtype", "")).startswith(
        SCALARS
    )


def _class_names(feature: Any) -> list[str] | None:
    """Names of a feature that holds classes by number; None for others."""
    import datasets

    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def _table(split: str, part: Any, data: HuggingFaceData) -> pd.DataFrame:
    """A split's rows, without images: `image`, `label` (None where missing), `group` and others."""
    images = [f"{split}/{row:05d}" for row in range(len(part))]
    table = pd.DataFrame({"image": images})
    table["label"] = pd.Series(_texts(part, data.label), dtype=object)
    groups = _texts(part, data.group) if data.group else [None] * len(part)
    table["group"] = [group or image for group, image in zip(groups, images, strict=True)]
    for name, feature in part.features.items():
        if name not in (data.image, data.label, data.group) and _is_scalar(feature):
            texts = _class_names(feature) is not None
            values = _texts(part, name) if texts else part.data.column(name).to_pandas()
            table[own_name(name)] = values
    return table


def _texts(part: Any, name: str) -> list[str | None]:
    """A feature's values as texts, classes by name; None where there is none."""
    names = _class_names(part.features[name])
    values = part.data.column(name).to_pylist()
    if names is not None:
        # The hub marks what is unlabeled by -1.
        return [names[v] if v is not None and 0 <= v < len(names) else None for v in values]
    return [None if v is None or not (text := trimmed(str(v))) else text for v in values]


def _undecoded(part: Any, feature: str) -> Any:
    """A split's images alone, as bytes or paths."""
    import datasets

    return part.select_columns([feature]).cast_column(feature, datasets.Image(decode=False))


def _names_files(part: Any, feature: str) -> bool:
    """Whether the images of a split were files once: those made from pixels have no path."""
    return all(column.field("path").null_count == 0 for column in part.data.column(feature).chunks)


def _note(where: str, what: str) -> Problem:
    return Problem(where, what, "nothing, or fill it in", fatal=False)
