"""The protocol: the whole experiment, written down before anything is trained.

The models below are the reference for every key of a protocol file. Reading a file, with errors
that point at its lines, is in `vitrial.protocol_file`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from vitrial.models.names import check_backbone
from vitrial.protocol_checks import find_clashes
from vitrial.spelling import did_you_mean
from vitrial.yaml_lines import dotted


def _absolute(path: Path, info: ValidationInfo) -> Path:
    """Expand `~` and `$VARIABLES`; relative paths start at the context's `folder`, else here."""
    try:
        expanded = Path(os.path.expandvars(path)).expanduser()
    except RuntimeError as error:
        raise ValueError(f"there is no such user as in '{path}'") from error
    folder = (info.context or {}).get("folder", Path.cwd())
    return Path(os.path.normpath(folder / expanded))


Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
# Strict(False): a text may stand for a path, and a list for a tuple.
AbsolutePath = Annotated[Path, Strict(False), AfterValidator(_absolute)]
Pair = Annotated[tuple[float, float], Strict(False)]
PositivePair = Annotated[tuple[Positive, Positive], Strict(False)]
EndpointName = Literal["quadratic_kappa", "balanced_accuracy", "roc_auc", "accuracy", "f1"]


class Section(BaseModel):
    """A part of the protocol: immutable, and strict about unknown keys and types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


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


class Split(Section):
    """How images are divided: by the data's own column where there is one, else by fractions.

    Attributes:
        fractions: Shares of train, validation and test; they add up to 1.
        grouped: Keep all images of a group in one split. False reproduces a split by image, which
            leaks wherever a patient or lesion was photographed twice.
        seed: Another seed divides otherwise.
    """

    fractions: Annotated[tuple[Positive, Positive, Positive], Strict(False)] = (0.7, 0.15, 0.15)
    grouped: bool = True
    seed: int = 0

    @field_validator("fractions")
    @classmethod
    def _add_up(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if not math.isclose(sum(fractions), 1, abs_tol=1e-6):
            raise ValueError(f"train, validation and test add up to {sum(fractions):g}, not 1")
        return fractions


class Image(Section):
    """How an image is prepared once, for the pixel cache.

    Attributes:
        resize: Side in pixels that every image is resized to (square, antialiased).
        channels: 3 (colour) or 1 (grayscale).
        window: Darkest and brightest value of 16-bit images; values beyond are clipped.
    """

    resize: int = Field(256, ge=16, le=2048)
    channels: Literal[1, 3] = 3
    window: Pair = (0, 65535)

    @field_validator("window")
    @classmethod
    def _ascending(cls, window: tuple[float, float]) -> tuple[float, float]:
        if window[0] >= window[1]:
            raise ValueError(f"the darkest value {window[0]:g} must lie below {window[1]:g}")
        return window


class Jitter(Section):
    """Colour jitter as torchvision's ColorJitter, applied to an image with probability `p`."""

    brightness: Fraction = 0.2
    contrast: Fraction = 0.2
    saturation: Fraction = 0.1
    hue: float = Field(0.1, ge=0, le=0.5)
    p: Fraction = 0.8


class Augment(Section):
    """Random views of a training image; evaluation takes the central crop.

    Attributes:
        crop: Side in pixels of what the model sees.
        scale: Range of the crop's share of the image area, as in torchvision's RandomResizedCrop:
            draws that do not fit into the image are drawn again.
        ratio: Range of the crop's aspect ratio.
        jitter: Colour jitter, null for none.
        hflip: Probability of a horizontal flip.
        vflip: Probability of a vertical flip.
    """

    crop: int = Field(224, ge=16, le=2048)
    scale: PositivePair = (0.8, 1.2)
    ratio: PositivePair = (3 / 4, 4 / 3)
    jitter: Jitter | None = Jitter()
    hflip: Fraction = 0.5
    vflip: Fraction = 0.5

    @field_validator("scale", "ratio")
    @classmethod
    def _ascending(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] > bounds[1]:
            raise ValueError(f"the lower bound {bounds[0]:g} exceeds the upper {bounds[1]:g}")
        return bounds

    @field_validator("scale")
    @classmethod
    def _possible(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if scale[0] > 1:
            raise ValueError(f"no crop of {scale[0]:g} times the image's area fits into the image")
        return scale


class Plateau(Section):
    """The learning rate drops by `factor` each time the validation endpoint saturates.

    Attributes:
        factor: What the rate is multiplied by.
        patience: Epochs without improvement that count as saturation.
        final_lr: Training ends when the endpoint saturates at this rate.
    """

    factor: float = Field(0.1, gt=0, lt=1)
    patience: int = Field(10, ge=1)
    final_lr: Positive = 1e-6


class Recipe(Section):
    """How a run is optimised.

    Attributes:
        optimizer: `adam` (weight decay added to the gradient, as the paper) or `adamw`.
        base_lr: Learning rate after warm-up.
        weight_decay: On weights only: biases and normalisation parameters are left alone.
        clip_norm: Largest norm of the gradient, null for no clipping.
        warmup_steps: Optimizer steps over which the rate grows linearly to `base_lr`.
        epochs: Training ends here at the latest.
        precision: `bf16` autocast or `fp32`.
        compile: Use torch.compile.
        class_weights: `balanced` weighs the loss by inverse class frequency.
        sampling: `balanced` draws every class equally often.
        normalise: Mean and standard deviation of the training split (`data`, as the paper) or of
            the backbone's pretraining (`backbone`).
    """

    optimizer: Literal["adam", "adamw"] = "adam"
    base_lr: Positive = 1e-4
    batch_size: int = Field(64, ge=1)
    weight_decay: float = Field(1e-5, ge=0)
    clip_norm: Positive | None = 1.0
    warmup_steps: int = Field(1000, ge=0)
    plateau: Plateau = Plateau()
    epochs: int = Field(200, ge=1)
    precision: Literal["bf16", "fp32"] = "bf16"
    compile: bool = False
    class_weights: Literal["none", "balanced"] = "none"
    sampling: Literal["shuffle", "balanced"] = "shuffle"
    normalise: Literal["data", "backbone"] = "data"


class Arm(Section):
    """A backbone x an initialisation.

    Attributes:
        backbone: A name of timm's.
        initialisation: `random`; `imagenet` (timm's weights, or the local file `weights`); or
            `transfer:NAME`, supervised pretraining on the entry NAME of `sources`.
        weights: Local .safetensors or .pth file for `imagenet`.
        base_lr: This arm's own base learning rate.
    """

    backbone: str
    initialisation: str = "random"
    weights: AbsolutePath | None = None
    base_lr: Positive | None = None

    @property
    def name(self) -> str:
        """`backbone / initialisation`, as it stands in tables."""
        return f"{self.backbone} / {self.initialisation}"

    @property
    def source(self) -> str | None:
        """The entry of `sources` that `transfer:NAME` names; None for other initialisations."""
        kind, _, name = self.initialisation.partition(":")
        return name if kind == "transfer" else None

    @field_validator("backbone")
    @classmethod
    def _known_backbone(cls, backbone: str) -> str:
        check_backbone(backbone)
        return backbone

    @field_validator("initialisation")
    @classmethod
    def _known_initialisation(cls, initialisation: str) -> str:
        head, _, source = initialisation.partition(":")
        if initialisation in ("random", "imagenet") or (head == "transfer" and source):
            return initialisation
        hint = did_you_mean(initialisation, ("random", "imagenet"))
        raise ValueError(f"must be random, imagenet or transfer:NAME, not '{initialisation}'{hint}")


class Protocol(Section):
    """The whole experiment.

    Attributes:
        name: Names the study; part of every seed.
        description: What the trial asks, and what to expect of it.
        data: The data set.
        split: How it is divided.
        image: How images are prepared.
        augment: Random views in training.
        arms: What is compared. In a file, an arm's `backbone` and `initialisation` may be lists,
            which stand for all their combinations.
        recipe: How every arm is trained.
        sources: Other labelled data sets, by name, for `transfer:NAME`.
        pretrain: Recipe of the pretraining on `sources`; `recipe` if left out.
        endpoint: The primary metric, by which validation selects and the table reports.
        margin: Smallest difference of the endpoint that matters.
        repetitions: Runs of an arm, each with a seed of its own.
        seed: Another seed repeats the whole study otherwise.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    data: Data
    split: Split = Split()
    image: Image = Image()
    augment: Augment = Augment()
    arms: list[Arm] = Field(min_length=1)
    recipe: Recipe = Recipe()
    sources: dict[str, Data] = {}
    pretrain: Recipe | None = None
    endpoint: EndpointName
    margin: float = Field(0.02, ge=0)
    repetitions: int = Field(5, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        clashes = find_clashes(self)
        if clashes:
            # All at once; the reader of protocol files takes them, with their keys, from here.
            message = "\n".join(f"{dotted(clash.keys[0])}: {clash.sentence}" for clash in clashes)
            raise PydanticCustomError(
                "clashes", "{message}", {"message": message, "clashes": clashes}
            )
        return self

    def recipe_of(self, arm: Arm) -> Recipe:
        """The recipe with the arm's own base learning rate, where it has one."""
        return self.recipe.model_copy(
            update={} if arm.base_lr is None else {"base_lr": arm.base_lr}
        )

    def hash(self) -> str:
        """12 hexadecimal digits that change with anything in the protocol."""
        return digest(self.model_dump(mode="json"))


def digest(content: Any) -> str:
    """12 hexadecimal digits of a JSON-able content's SHA-256; the order of keys is irrelevant."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
