"""What every part of a protocol has in common, and the types of its values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationInfo,
)
from pydantic_core import PydanticKnownError

from vitrial.metrics import ENDPOINTS
from vitrial.trackers import TRACKERS


def absolute(path: Path, info: ValidationInfo) -> Path:
    """Expand `~` and `$VARIABLES`; relative paths start at the context's `folder`, else here."""
    try:
        expanded = Path(os.path.expandvars(path)).expanduser()
    except RuntimeError as error:
        raise ValueError(f"there is no such user as in '{path}'") from error
    folder = (info.context or {}).get("folder", Path.cwd())
    return Path(os.path.normpath(folder / expanded))


# Every number has bounds: far beyond what anyone would mean, and small enough to go on with.
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1000)]
Rate = Annotated[float, Field(gt=0, le=10)]
Decay = Annotated[float, Field(ge=0, le=10)]
Epochs = Annotated[int, Field(ge=0, le=100_000)]
Width = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
# Strict(False): a text may stand for a path, and a list for a tuple.
AbsolutePath = Annotated[Path, Strict(False), AfterValidator(absolute), Field(examples=["FOLDER"])]


def _known_endpoint(name: Any) -> Any:
    if name not in list(ENDPOINTS):
        *others, last = map(repr, ENDPOINTS)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
    return name


EndpointName = Annotated[str, BeforeValidator(_known_endpoint)]
"""A name of `vitrial.metrics.ENDPOINTS`."""


def _known_tracker(name: Any) -> Any:
    if name not in TRACKERS.names():
        known = ", ".join(map(repr, TRACKERS.names()))
        raise PydanticKnownError("literal_error", {"expected": known})
    return name


TrackerName = Annotated[str, BeforeValidator(_known_tracker)]
"""A file of `vitrial.trackers`."""
PositivePair = Annotated[tuple[Positive, Positive], Strict(False)]


SMALLEST = 32
"""Side in pixels: from less, the last stage of a ResNet sees a single pixel, for which oneDNN's
bf16 convolution (seen in torch 2.14) gives gradients that are not finite."""


LARGEST_BATCH = 65_536
"""Images a step: twice the largest batches that the methods' papers speak of."""


class Section(BaseModel):
    """A part of the protocol: immutable, and strict about unknown keys and types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
