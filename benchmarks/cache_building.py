"""Building the pixel cache beside the bare decoding and resizing of the same files.

Files of several formats and sizes are prepared as a new data set is, which also reads them whole,
hashes and examines them, checks their checksums, and writes the cache. In turn, in as many threads,
they are only opened, decoded and resized to the same side: by Pillow, which shrinks JPEGs likewise
while it decodes them; DICOM by pydicom, with its window. The files lie in the system's memory.
Beside that the peak memory of building a cache, and one of four times as many files, in processes
of their own.

    python benchmarks/cache_building.py [--root HAM10000] [--quick] [--json PATH]
"""

from __future__ import annotations

import io
import os
import resource
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pydicom
import typer
from photographs import HAM10000, Size, jpeg, photographs
from PIL import Image as Picture
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from table import Row, median_seconds, publish

from vitrial.data.cache import prepare
from vitrial.data.io.decode import DRAFT
from vitrial.data.io.decoding import THREADS
from vitrial.data.manifest import Dataset
from vitrial.data.sources import load_dataset
from vitrial.data.sources.folder import FolderData
from vitrial.protocol import Image

LARGE, SMALL = (3000, 2000), (600, 450)
SIDE, TARGET, FLAT = 256, 0.9, 1.1
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Kind:
    """Files of a format and size.

    Attributes:
        size: Width and height in pixels.
        suffix: Of their names.
        write: A picture as a file.
        bare: Decodes and resizes a file.
        files: How many.
    """

    size: Size
    suffix: str
    write: Callable[[Picture.Image], bytes]
    bare: Callable[[Path], np.ndarray]
    files: int


def png(picture: Picture.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def sixteen_bits(picture: Picture.Image) -> np.ndarray:
    """The picture in gray, with values in the lower 8 bits too."""
    gray = np.asarray(picture.convert("L"), np.uint16)
    below = np.random.default_rng(0).integers(0, 256, gray.shape, np.uint16)
    return np.asarray(gray * 256 + below)


def sixteen_bit_png(picture: Picture.Image) -> bytes:
    return png(Picture.fromarray(sixteen_bits(picture)))


def dicom(picture: Picture.Image) -> bytes:
    """The picture as an uncompressed 16-bit DICOM file with a window."""
    values, content = sixteen_bits(picture), io.BytesIO()
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = SecondaryCaptureImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = pydicom.uid.generate_uid()
    file.Rows, file.Columns = values.shape
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 0
    file.RescaleSlope, file.RescaleIntercept = 1, -1024
    file.WindowCenter, file.WindowWidth = 30000, 60000
    file.PixelData = values.tobytes()
    file.save_as(content, enforce_file_format=True)
    return content.getvalue()


def bare_colors(path: Path) -> np.ndarray:
    with Picture.open(path) as picture:
        picture.draft(None, (DRAFT * SIDE, DRAFT * SIDE))
        return np.asarray(picture.resize((SIDE, SIDE), Picture.Resampling.BILINEAR))


def bare_gray(values: np.ndarray) -> np.ndarray:
    """Values from 0 to 65,535 resized, then spread over 8 bits."""
    picture = Picture.fromarray(values.astype(np.float32))
    small = np.asarray(picture.resize((SIDE, SIDE), Picture.Resampling.BILINEAR))
    return np.rint(small * (255 / 65535)).astype(np.uint8)


def bare_sixteen_bits(path: Path) -> np.ndarray:
    with Picture.open(path) as picture:
        return bare_gray(np.asarray(picture))


def bare_dicom(path: Path) -> np.ndarray:
    file = pydicom.dcmread(path)
    return bare_gray(apply_voi_lut(apply_modality_lut(file.pixel_array, file), file))


KINDS = {
    "JPEG, 3,000 x 2,000": Kind(LARGE, ".jpg", jpeg, bare_colors, 120),
    "JPEG, 600 x 450": Kind(SMALL, ".jpg", jpeg, bare_colors, 1200),
    "PNG, 3,000 x 2,000": Kind(LARGE, ".png", png, bare_colors, 30),
    "PNG, 600 x 450": Kind(SMALL, ".png", png, bare_colors, 600),
    "16-bit PNG, 3,000 x 2,000": Kind(LARGE, ".png", sixteen_bit_png, bare_sixteen_bits, 30),
    "16-bit DICOM, 3,000 x 2,000": Kind(LARGE, ".dcm", dicom, bare_dicom, 60),
}


def write_files(folder: Path, files: dict[str, int], root: Path) -> None:
    """A folder of each kind, with files of two classes: a few, linked again and again."""
    pictures = {}
    for name, n in files.items():
        kind = KINDS[name]
        if kind.size not in pictures:
            pictures[kind.size] = photographs(kind.size, 1, root).values()
        contents = [kind.write(picture) for group in pictures[kind.size] for picture in group]
        few = len(contents)
        # Each picture is in both classes.
        paths = [folder / name / "ab"[i // few % 2] / f"{i}{kind.suffix}" for i in range(n)]
        for i, path in enumerate(paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            if i < few:
                path.write_bytes(contents[i])
            else:
                path.hardlink_to(paths[i % few])


def first(files: Path, n: int) -> Dataset:
    """The first n files of a folder."""
    dataset = load_dataset(FolderData(source="folder", root=files))
    return replace(dataset, manifest=dataset.manifest.iloc[:n])


def build(dataset: Dataset, place: Path) -> None:
    """Make the cache of a data set, as of one that nobody has seen."""
    with tempfile.TemporaryDirectory(dir=place) as cache:
        prepare(dataset, Image(resize=SIDE), Path(cache))


def peak_megabytes(files: Path, n: int) -> float:
    """Build a cache; this process's peak resident memory."""
    build(first(files, n), files.parent)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def apart(task: Callable[..., Any], *arguments: Any) -> Any:
    """What a task gives in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(task, *arguments).result()


def measure(name: str, n: int, rounds: int, files: Path) -> list[Row]:
    """The rows of a kind of files, of which there are four times n."""
    kind = KINDS[name]
    few, many = (apart(peak_megabytes, files, times * n) for times in (1, 4))
    dataset = first(files, n)
    paths = sorted(files.rglob(f"*{kind.suffix}"))[:n]

    def bare() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(kind.bare, paths):
                pass

    def built() -> None:
        build(dataset, files.parent)

    seconds = median_seconds({"bare": bare, "built": built}, rounds)
    rate = {what: n / each / CORES for what, each in seconds.items()}
    ratio, growth, unit = rate["built"] / rate["bare"], many / few, "images/s per core"
    return [
        Row(f"{name}: decoded and resized", rate["bare"], unit),
        Row(f"{name}: cache", rate["built"], unit, "decoded and resized", ratio, TARGET,
            ratio >= TARGET),
        Row(f"{name}: peak memory, {n} files", few, "MB"),
        Row(f"{name}: peak memory, {4 * n} files", many, "MB", f"{n} files", growth, FLAT,
            growth <= FLAT),
    ]  # fmt: skip


def main(
    root: Annotated[Path, typer.Option(help="HAM10000's folder.")] = HAM10000,
    rounds: Annotated[int, typer.Option(help="Rounds of each.")] = 7,
    only: Annotated[str, typer.Option(help="Kinds whose name holds this.")] = "",
    quick: Annotated[bool, typer.Option(help="End within a minute or so.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Compare building the pixel cache with decoding and resizing alone."""
    rounds = 3 if quick else rounds
    kinds = {
        name: kind.files
        for name, kind in KINDS.items()
        if only in name and (kind.size == SMALL or not quick)
    }
    with tempfile.TemporaryDirectory() as folder:
        # A child's peak of memory starts at its parent's: pictures are drawn in a child, too.
        apart(write_files, Path(folder), {name: 4 * n for name, n in kinds.items()}, root)
        rows = [
            row for name, n in kinds.items() for row in measure(name, n, rounds, Path(folder, name))
        ]
    publish(f"Caches at {SIDE} pixels, {THREADS} threads on {CORES} cores", rows, json)


if __name__ == "__main__":
    typer.run(main)
