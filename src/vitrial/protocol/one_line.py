"""A data set named in one line, such as `medmnist:dermamnist@64`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from vitrial.errors import VitrialError
from vitrial.protocol import Data, Image, Split
from vitrial.protocol.file import load_protocol, ready_protocols
from vitrial.spelling import did_you_mean

FIRST_KEY = {
    "cbis_ddsm": "task",
    "csv": "table",
    "dicom": "table",
    "huggingface": "repo",
    "medmnist": "name",
    "phantom": "task",
}
"""The key that stands after a source's colon."""
SIZED = ("medmnist", "phantom")
"""Sources in which `@` begins the size."""
SOURCES = tuple(
    get_args(model.model_fields["source"].annotation)[0] for model in get_args(get_args(Data)[0])
)


def named_data(text: str, root: Path | None = None) -> tuple[Data, Image, Split | None]:
    """What a protocol or a line names: the data set, and how its images are prepared and divided.

    How they are divided only a protocol says.

    Args:
        text: A protocol file, the name of a ready-made protocol, or `SOURCE[:WHAT][@SIZE]`.
        root: Where the data lie.

    Raises:
        VitrialError: The text names nothing, or something is missing in it.
    """
    name, _, rest = text.partition(":")
    if name in SOURCES:
        return _data(name, rest, root), Image(), None
    if text not in ready_protocols() and Path(text).suffix not in (".yaml", ".yml"):
        raise VitrialError(
            f"'{text}' is no data set{did_you_mean(name, SOURCES)}: name a protocol file, a "
            f"ready protocol, or one of {', '.join(SOURCES)}."
        )
    protocol = load_protocol(text, root)
    return protocol.data, protocol.image, protocol.split


def _data(source: str, rest: str, root: Path | None) -> Data:
    """The data set of a source, of what follows it in the line, and of where it lies."""
    what, _, size = rest.partition("@") if source in SIZED else (rest, "", "")
    if what and source not in FIRST_KEY:
        raise VitrialError(f"Nothing stands after {source}: write '{source} --root PATH'.")
    keys: dict[str, Any] = {"source": source}
    keys |= {FIRST_KEY[source]: what} if what else {}
    keys |= {"size": int(size) if size.isdecimal() else size} if size else {}
    keys |= {"root": root} if root is not None else {}
    try:
        data: Data = TypeAdapter(Data).validate_python(keys)
    except ValidationError as error:
        raise VitrialError(f"{source}: {'; '.join(map(_sentence, error.errors()))}.") from error
    return data


def _sentence(error: Any) -> str:
    key = error["loc"][-1]
    if error["type"] == "missing":
        return "say where the data lie with --root PATH" if key == "root" else f"{key} is missing"
    if error["type"] == "extra_forbidden":
        return f"it takes no {key}"
    return f"{key}: {error['msg']}"
