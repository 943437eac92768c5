"""Which images are explained: a study's test images, or others of the user's."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from vitrial.data.cache import prepare
from vitrial.data.io.files import Files
from vitrial.data.io.hidden_names import HiddenNames, hide_names
from vitrial.data.manifest import Dataset
from vitrial.data.prepared import Prepared, prepare_data
from vitrial.data.sources import load_dataset
from vitrial.data.sources.folder import list_images
from vitrial.errors import VitrialError
from vitrial.events import ProblemsFound, tell
from vitrial.explain.subject import Subject
from vitrial.protocol import Protocol
from vitrial.protocol.file import relocated
from vitrial.seeds import draw_names
from vitrial.store.study import Study


def wanted_images(text: str) -> int | Path | None:
    """What a person asks for: a number, `all` (None), or a path.

    Raises:
        VitrialError: It is none of these.
    """
    if text == "all":
        return None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    if not Path(text).exists():
        raise VitrialError(
            f"'{text}' is neither a number of test images, nor `all`, nor a file or folder of "
            "images."
        )
    return Path(text)


def study_data(study: Study, root: Path | None, cache_root: Path | None) -> Prepared:
    """The data of a study, ready to be read.

    Args:
        study: The study.
        root: Where the data lie now, in place of the protocol's data.root.
        cache_root: Where pixel caches lie.

    Raises:
        VitrialError: The data are not the study's any more, or cannot be read.
    """
    protocol = relocated(study.protocol, root)
    data = prepare_data(protocol.data, protocol.split, protocol.image, cache_root)
    if data.split_hash() != study.facts.split or (
        study.facts.format > 1  # version 0.1 took fingerprints otherwise
        and data.fingerprint() != study.facts.fingerprint
    ):
        raise VitrialError(
            f"The data are not those of {study.path}: images, labels, groups or split have changed "
            "since. Run the protocol again, or restore the data."
        )
    return data


def drawn_images(study: Study, data: Prepared, count: int | None, root: Path | None) -> Subject:
    """Test images of a study, drawn by their names.

    Args:
        study: The study.
        data: Its data.
        count: How many; all, if None or more than there are.
        root: Where the data lie now, in place of the protocol's data.root.
    """
    protocol = relocated(study.protocol, root)
    rows = data.rows_of("test")
    names = rows["image"].tolist()
    drawn = draw_names(names, len(names) if count is None else count)
    rows = rows.iloc[drawn].reset_index(drop=True)
    if protocol.image.trim != "none" and "mask" in rows:
        rows = rows.drop(columns="mask")  # masks are not trimmed along
    reader = load_dataset(protocol.data).reader
    return Subject(rows, data.cache, reader, protocol.augment.crop)


def own_images(path: Path, protocol: Protocol, cache_root: Path | None) -> Subject:
    """Images of the user's, prepared like those of the study; nothing is known of them.

    Images that cannot be used are reported; the others are explained.

    If there are DICOM files, all files go by other names: see `hide_names`.

    Args:
        path: A file, a folder or a .zip.
        protocol: The study's.
        cache_root: Where pixel caches lie.

    Raises:
        VitrialError: There is no image that can be used.
    """
    single = path.is_file() and path.suffix.lower() != ".zip"
    files = Files(path.parent if single else path)
    names, problems = ([path.name], []) if single else list_images(files, "the images")
    manifest = pd.DataFrame({"image": names}, dtype=str)
    dataset = Dataset("images", manifest, [], files, problems)
    dataset = hide_names(dataset, names if single else ())
    cache, found = prepare(dataset, protocol.image, cache_root)
    if problems := dataset.problems + found:
        tell(ProblemsFound(tuple(problems)))
    rows = cache.index[["image"]].assign(label="", row=range(len(cache.index)))
    if rows.empty:
        raise VitrialError(f"None of the images in {path} can be used.")
    subject = rows.assign(group=rows["image"])
    return Subject(subject, cache, dataset.reader, protocol.augment.crop)


def name_of_images(path: Path, subject: Subject) -> str:
    """What a folder is called after images of the user's: a digest where there is DICOM."""
    hidden = isinstance(subject.reader, HiddenNames)
    return subject.fingerprint() if hidden else path.resolve().stem
