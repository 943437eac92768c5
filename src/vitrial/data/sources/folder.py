"""Images in one folder per class."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from vitrial.data.about import About
from vitrial.data.io.decode import SUFFIXES
from vitrial.data.io.files import Files, suffix_of
from vitrial.data.io.hidden_names import hide_names
from vitrial.data.manifest import SPLIT_NAMES, Dataset, in_order
from vitrial.errors import Problem, VitrialError
from vitrial.protocol.data import DataSection
from vitrial.protocol.section import AbsolutePath

ABOUT = About(
    title="Folder: images of your own in one folder per class",
    license="your own",
    where="your own images",
    layout=(
        "One folder a class, holding its images, or a .zip of such folders. With train/, val/ and "
        "test/ above the class folders, these are the splits. Every image is a group of its own; "
        "where a patient has several, list them in a table (source: csv)."
    ),
    size="as many images and classes as there are; classes in the order of their folders' names",
)


class FolderData(DataSection):
    """One folder a class below `root` (a folder or a .zip); train/ val/ test/ above count."""

    source: Literal["folder"]
    root: AbsolutePath


DATA = FolderData


def load(data: FolderData) -> Dataset:
    """List the images below a root, a folder or a .zip: `melanoma/1.jpg`.

    Folders inside a class folder are part of the class. A top level of `train`, `val` (or
    `valid`, `validation`) and `test` gives the split: `train/melanoma/1.jpg`. A single folder
    around everything is entered. Each image is a group of its own.

    Raises:
        VitrialError: There is no image, or splits and classes are side by side.
    """
    files = Files(data.root)
    images, problems = list_images(files, "data.root")
    top = _top(images)
    depth = 2 if _has_splits(images, top) else 1
    rows = []
    for name in images:
        *parents, _ = name[len(top) :].split("/")
        parents = [_plain(parent) for parent in parents]
        if len(parents) < depth:
            problems.append(
                Problem(name, "lies in no class folder", "move it into its class's folder")
            )
        else:
            row = {"image": name, "label": parents[depth - 1], "group": name}
            rows.append(row | ({"split": SPLIT_NAMES[parents[0].lower()]} if depth == 2 else {}))
    columns = ["image", "label", "group", *(["split"] if depth == 2 else [])]
    manifest = pd.DataFrame(rows, columns=columns, dtype=str)
    problems += _empty_classes(files.folders(), images, top, depth)
    classes = in_order(manifest["label"])
    return hide_names(Dataset(files.root.stem, manifest, classes, files, problems))


def list_images(files: Files, key: str) -> tuple[list[str], list[Problem]]:
    """The images below a root, and what is wrong or worth knowing about the other files.

    Args:
        files: The root.
        key: The protocol's key that names it, for the error.

    Raises:
        VitrialError: There is no image.
    """
    names = files.names()
    images = [name for name in names if suffix_of(name) in SUFFIXES]
    if not images:
        raise VitrialError(
            f"There is no image below {files.root}: correct {key}, or save the images as "
            f"{', '.join(sorted(SUFFIXES))}."
        )
    problems = [_other_file(files, name) for name in names if suffix_of(name) not in SUFFIXES]
    problems += undecodable_names(files)
    problems += [
        Problem(name, "has unreadable characters in its name", "rename it")
        for name in images
        if not name.isprintable()
    ]
    return [name for name in images if name.isprintable()], problems


def undecodable_names(files: Files) -> list[Problem]:
    """Problems of images whose names are not UTF-8, and notes on such files of other kinds."""
    return [
        Problem(
            name,
            "has a name that is not UTF-8 text, and is not used",
            "rename it",
            fatal=suffix_of(name) in SUFFIXES,
        )
        for name in files.undecodable
    ]


def _top(images: list[str]) -> str:
    """The folder that holds the classes or splits: "", or a folder around everything."""
    top = ""
    while True:
        inner = [name[len(top) :].split("/") for name in images]
        heads = {parts[0] for parts in inner}
        wrapped = len(heads) == 1 and all(len(parts) > 2 for parts in inner)
        if not wrapped or _are_splits(heads):
            return top
        top += f"{heads.pop()}/"


def _has_splits(images: list[str], top: str) -> bool:
    """Whether the top level is made of splits."""
    inner = [name[len(top) :].split("/") for name in images]
    heads = {parts[0] for parts in inner if len(parts) > 1}
    if heads and _are_splits(heads):
        return True
    # A class may be called "test", but then it holds images, not folders of images.
    splits = sorted({p[0] for p in inner if len(p) > 2 and _are_splits({p[0]})})
    if splits:
        others = sorted(heads - set(splits))
        raise VitrialError(
            f"{', '.join(splits)} and {', '.join(others[:5])} lie side by side: put class folders "
            "into train, val and test only, or remove these."
        )
    return False


def _are_splits(heads: set[str]) -> bool:
    return all(_plain(head).lower() in SPLIT_NAMES for head in heads)


def _plain(folder: str) -> str:
    """A folder's name; a .zip in a folder counts as a folder."""
    return folder[:-4] if folder.lower().endswith(".zip") else folder


def _other_file(files: Files, name: str) -> Problem:
    try:
        files.stamp(name)
    except (VitrialError, OSError) as error:
        return Problem(name, str(error), "replace it by a copy of what it links to")
    return Problem(name, "is not an image and is not used", "nothing, or remove it", fatal=False)


def _empty_classes(folders: list[str], images: list[str], top: str, depth: int) -> list[Problem]:
    def class_folder(name: str) -> str:
        return top + "/".join(name[len(top) :].split("/")[:depth])

    full = {class_folder(name) for name in images}
    return [
        Problem(
            name,
            "holds no image; it is not used as a class",
            "put images into it, or remove it",
            fatal=False,
        )
        for name in folders
        if name.startswith(top) and name.count("/") == top.count("/") + depth - 1
        if name not in full
    ]
