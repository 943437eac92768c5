"""Data sets, as a protocol names them: what all sources have in common, and how one is found.

The configuration of a source lies beside its loader, in the file of `vitrial.data.sources` that is
called like it; that file is imported when a protocol names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    Field,
    SerializeAsAny,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)
from pydantic_core import PydanticKnownError

from vitrial.errors import VitrialError
from vitrial.protocol.section import Section
from vitrial.registry import Registry

SOURCES = Registry("vitrial.data.sources", ("ABOUT", "DATA", "load"))
"""Each file has a configuration `DATA`, words `ABOUT`, and `load(data) -> Dataset`."""

Clashing = tuple[str, tuple[str, ...]]
"""Why keys cannot stand together, and which; the first is the one to point at."""


class DataSection(Section):
    """What every data source can be told: the base of the sources' configurations.

    Attributes:
        source: Its name. A configuration has it as `source: Literal["name"]`.
        limit: Use about this many images: a stratified, seeded draw of whole groups.
        classes: The classes to use, in order (the order is what `quadratic_kappa` grades by);
            every class that the source has, in its own order, if left out.
        relabel: New names of labels, such as `{Nevus: nevus}`: labels of one name are one class.
        on_problem: What to do with images that cannot be used: `stop`, or `leave_out` and report.
        on_contradiction: What to do with copies of a picture that have different labels: `keep`
            them, as one group, with a note; `leave_out` all of them; or `stop`.
        first_key: The key that stands after the colon where a data set is named in one line.
        sized: Whether `@` begins its size there.
        requires: An extra of the package that it needs, and a module of that extra.
        known_classes: Whether its classes are known before anything is read.
        downloads: Whether it fetches what is not there.
    """

    limit: int | None = Field(None, ge=10, le=100_000_000)
    classes: list[str] | None = Field(None, min_length=2)
    relabel: dict[str, str] | None = None
    on_problem: Literal["stop", "leave_out"] = "stop"
    on_contradiction: Literal["stop", "leave_out", "keep"] = "keep"
    source: str

    first_key: ClassVar[str | None] = None
    sized: ClassVar[bool] = False
    requires: ClassVar[tuple[str, str] | None] = None
    known_classes: ClassVar[bool] = False
    downloads: ClassVar[bool] = False

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: list[str] | None) -> list[str] | None:
        twice = sorted({name for name in classes or [] if (classes or []).count(name) > 1})
        if twice:
            raise ValueError(f"listed more than once: {', '.join(twice)}")
        return classes

    def clashes(self) -> Iterator[Clashing]:
        """Keys of it that cannot stand together."""
        yield from ()

    def unordered(self) -> str:
        """What its classes are called if they are known to have no order; else nothing."""
        return ""


def configuration(source: str) -> type[DataSection]:
    """The configuration of a source, by its name.

    Raises:
        VitrialError: There is no such source, or its file is not sound.
    """
    module = SOURCES.entry(source)
    found: type[DataSection] = module.DATA
    named = get_args(found.model_fields["source"].annotation)
    if named != (source,):
        raise VitrialError(
            f"{module.__file__}: {found.__name__} has to have `source: Literal[{source!r}]`, like "
            "the file."
        )
    return found


def _by_source(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """Validate keys by the configuration that their `source` names; a `Dataset` stands for some."""
    if isinstance(value, DataSection):
        return value
    python = SOURCES.entry("python")
    if isinstance(value, python.Dataset):
        return python.give(value)
    if not isinstance(value, dict):
        raise PydanticKnownError("model_attributes_type")
    tag, names = {"discriminator": "'source'"}, SOURCES.names()
    if "source" not in value:
        raise PydanticKnownError("union_tag_not_found", tag)
    if value["source"] not in list(names):
        tag |= {"tag": str(value["source"]), "expected_tags": ", ".join(map(repr, names))}
        raise PydanticKnownError("union_tag_invalid", tag)
    return configuration(value["source"]).model_validate(value, context=info.context)


Data = Annotated[SerializeAsAny[DataSection], WrapValidator(_by_source)]
"""A data set of any source."""
