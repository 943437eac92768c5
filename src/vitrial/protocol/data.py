"""Data sets, as a protocol names them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from vitrial.protocol.section import AbsolutePath, Section, Seed, absolute


class DataSection(Section):
    """What every data source can be told.

    Attributes:
        limit: Use about this many images: a stratified, seeded draw of whole groups.
        classes: The classes to use, in order (the order is what `quadratic_kappa` grades by);
            every class that the source has, in its own order, if left out.
        relabel: New names of labels, such as `{Nevus: nevus}`: labels of one name are one class.
        on_problem: What to do with images that cannot be used: `stop`, or `leave_out` and report.
        on_contradiction: What to do with copies of a picture that have different labels: `keep`
            them, as one group, with a note; `leave_out` all of them; or `stop`.
    """

    limit: int | None = Field(None, ge=10, le=100_000_000)
    classes: list[str] | None = Field(None, min_length=2)
    relabel: dict[str, str] | None = None
    on_problem: Literal["stop", "leave_out"] = "stop"
    on_contradiction: Literal["stop", "leave_out", "keep"] = "keep"

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: list[str] | None) -> list[str] | None:
        twice = sorted({name for name in classes or [] if (classes or []).count(name) > 1})
        if twice:
            raise ValueError(f"listed more than once: {', '.join(twice)}")
        return classes


class FolderData(DataSection):
    """One folder a class below `root` (a folder or a .zip); train/ val/ test/ above count."""

    source: Literal["folder"]
    root: AbsolutePath


class CsvData(DataSection):
    """A table of images: `table` lies in `root` (a folder or a .zip), image paths relative to it.

    Attributes:
        table: The CSV's path below `root`.
        image: Column of image paths, relative to the table's own folder.
        label: Column of class names.
        group: Column of patients or lesions; images of a group never straddle splits.
        split: Column saying train, val or test.
        mask: Column of lesion mask paths.
    """

    source: Literal["csv"]
    root: AbsolutePath
    table: str
    image: str = "image"
    label: str = "label"
    group: str | None = None
    split: str | None = None
    mask: str | None = None


class Ham10000Data(DataSection):
    """HAM10000 (Tschandl et al., Sci. Data 2018): 10,015 dermoscopy images of 7 diagnoses."""

    source: Literal["ham10000"]
    root: AbsolutePath


class PhantomData(DataSection):
    """Synthetic images drawn on the fly, several a patient, with lesion masks.

    Attributes:
        task: `dermoscopy` (4 classes), `fundus` (5 ordered grades), `mammogram` (16-bit, mass or
            none).
        patients: Number of patients; each has 1 to 3 images.
        size: Side of the drawn image in pixels.
        seed: Another seed draws other patients.
    """

    source: Literal["phantom"]
    task: Literal["dermoscopy", "fundus", "mammogram"] = "dermoscopy"
    patients: int = Field(400, ge=20, le=100_000)
    size: int = Field(128, ge=32, le=1024)
    seed: Seed = 0


class Aptos2019Data(DataSection):
    """APTOS 2019 (Kaggle): 3,662 fundus images, 5 ordered grades of diabetic retinopathy."""

    source: Literal["aptos2019"]
    root: AbsolutePath


class Isic2019Data(DataSection):
    """ISIC 2019: 25,331 dermoscopy images, 8 diagnoses; groups are lesions."""

    source: Literal["isic2019"]
    root: AbsolutePath


class CbisDdsmData(DataSection):
    """CBIS-DDSM (Lee et al., Sci. Data 2017): 3,103 full mammograms; groups are patients.

    Attributes:
        task: `mass` (a mass on this mammogram, or none) or `pathology` (malignant, or not).
        official_split: Use the official test images, less those of 31 patients who are in the
            official training set, too; validation is drawn from the others.
    """

    source: Literal["cbis_ddsm"]
    root: AbsolutePath
    task: Literal["mass", "pathology"] = "mass"
    official_split: bool = False


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
    name: str
    size: Literal[28, 64, 128, 224] = 28
    root: AbsolutePath = Field(Path("~/.cache/vitrial/medmnist"), validate_default=True)
    finding: str | None = None


class DicomData(DataSection):
    """A folder of DICOM files; labels from a table below `root`; groups are patients.

    Attributes:
        table: The CSV's path below `root`.
        key: Column that names the image: by its SOPInstanceUID, SeriesInstanceUID, PatientID or
            file name, whichever its values are found among.
        label: Column of class names.
        split: Column saying train, val or test.
        columns: Further elements of the headers to keep, by keyword, such as `KVP`: as they are.
    """

    source: Literal["dicom"]
    root: AbsolutePath
    table: str
    key: str = "image"
    label: str = "label"
    split: str | None = None
    columns: list[str] = Field(default_factory=list)


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
    repo: str
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


Data = Annotated[
    FolderData
    | CsvData
    | Aptos2019Data
    | Isic2019Data
    | CbisDdsmData
    | Ham10000Data
    | MedMnistData
    | DicomData
    | HuggingFaceData
    | PhantomData,
    Field(discriminator="source"),
]
