"""Data sets, as a protocol names them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from vitrial.protocol.section import AbsolutePath, Section


class DataSection(Section):
    """What every data source can be told.

    Attributes:
        limit: Use about this many images: a stratified, seeded draw of whole groups.
        classes: The classes to use, in order (the order is what `quadratic_kappa` grades by);
            every class that the source has, in its own order, if left out.
        on_problem: What to do with images that cannot be used: `stop`, or `leave_out` and report.
    """

    limit: int | None = Field(None, ge=10)
    classes: list[str] | None = Field(None, min_length=2)
    on_problem: Literal["stop", "leave_out"] = "stop"

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
    patients: int = Field(400, ge=20)
    size: int = Field(128, ge=32, le=1024)
    seed: int = 0


Data = Annotated[FolderData | CsvData | Ham10000Data | PhantomData, Field(discriminator="source")]
