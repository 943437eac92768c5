"""A data set named in one line, such as `medmnist:dermamnist@64`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vitrial.errors import VitrialError
from vitrial.protocol import Data, Image, Split
from vitrial.protocol.data import SOURCES, configuration
from vitrial.protocol.file import load_protocol, ready_protocols
from vitrial.spelling import did_you_mean


def named_data(text: str, root: Path | None = None) -> tuple[Data, Image, Split | None]:
    """What a protocol or a line names: the data set, and how its images are prepared and divided.

    How they are divided only a protocol says.

    Args:
        text: A protocol file, the name of a built-in protocol, or `SOURCE[:WHAT][@SIZE]`.
        root: Where the data lie.

    Raises:
        VitrialError: The text names nothing, or something is missing in it.
    """
    name, _, rest = text.partition(":")
    sources = SOURCES.names()
    if name in sources:
        return _data(name, rest, root), Image(), None
    if text not in ready_protocols() and Path(text).suffix not in (".yaml", ".yml"):
        raise VitrialError(
            f"'{text}' is not a data set{did_you_mean(name, sources)}: name a protocol file, a "
            f"built-in protocol, or one of {', '.join(sources)}."
        )
    protocol = load_protocol(text, root)
    return protocol.data, protocol.image, protocol.split


def _data(source: str, rest: str, root: Path | None) -> Data:
    """The data set of a source, of what follows it in the line, and of where it lies."""
    section = configuration(source)
    what, _, size = rest.partition("@") if section.sized else (rest, "", "")
    if what and section.first_key is None:
        raise VitrialError(f"There is nothing after {source}: write '{source} --root PATH'.")
    keys: dict[str, Any] = {"source": source}
    keys |= {section.first_key: what} if section.first_key and what else {}
    keys |= {"size": int(size) if size.isdecimal() else size} if size else {}
    keys |= {"root": root} if root is not None else {}
    try:
        return section.model_validate(keys)
    except ValidationError as error:
        raise VitrialError(f"{source}: {'; '.join(map(_sentence, error.errors()))}.") from error


def _sentence(error: Any) -> str:
    key = error["loc"][-1]
    if error["type"] == "missing":
        return "say where the data lie with --root PATH" if key == "root" else f"{key} is missing"
    if error["type"] == "extra_forbidden":
        return f"it takes no {key}"
    return f"{key}: {error['msg']}"
