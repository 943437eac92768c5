"""Everything wrong with a protocol's content, found in one go and said in sentences."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError

from vitrial.protocol import Arm, Protocol, Section
from vitrial.protocol.checks import Clash, backbone_clashes, unknown_names
from vitrial.protocol.data import SOURCES, DataSection, configuration
from vitrial.protocol.selfsupervision import RECIPES
from vitrial.protocol.yaml_lines import Location
from vitrial.spelling import did_you_mean, nearest

Tree = dict[str, Any]
Finding = tuple[Location, str]

# What stands in for a required value that is wrong, so that the rest can still be audited.
STAND_INS: Tree = {
    "name": "x",
    "data": {"source": "phantom"},
    "root": ".",
    "table": "x",
    "repo": "owner/name",
    "content": "x",
    "arms": [{"backbone": "resnet18"}],
    "backbone": "resnet18",
    "endpoint": "accuracy",
    "treatment": "x",
    "control": "y",
    "claim": "superior",
}

SENTENCES = {
    "missing": "is missing",
    "int_type": "must be a whole number, not {got}",
    "int_from_float": "must be a whole number, not {got}",
    "float_type": "must be a number, not {got}",
    "finite_number": "must be a finite number, not {got}",
    "bool_type": "must be true or false, not {got}",
    "string_type": "must be text, not {got} (put it in quotes if it is meant)",
    "string_unicode": "holds a character that is no text",
    "path_type": "must be a path, not {got}",
    "list_type": "must be a list, not {got}",
    "tuple_type": "must be a list, not {got}",
    "dict_type": "must be a group of keys, not {got}",
    "model_type": "must be a group of keys, not {got}",
    "model_attributes_type": "must be a group of keys, not {got}",
    "greater_than": "must be greater than {gt}, not {got}",
    "greater_than_equal": "must be {ge} or more, not {got}",
    "less_than": "must be less than {lt}, not {got}",
    "less_than_equal": "must be {le} or less, not {got}",
    "too_short": "must have {min_length} entries at least, not {actual_length}",
    "too_long": "must have {max_length} entries at most",
    "string_pattern_mismatch": "may hold letters, digits, '.', '_' and '-' only (a letter or digit "
    "first), unlike {got}",
    "value_error": "{error}",
}


MOST_FAULTS = 50
"""More sentences than anyone reads before changing something."""


class Findings(NamedTuple):
    """What is wrong.

    Attributes:
        faults: Up to `MOST_FAULTS`, as (location, sentence).
        more: How many there are besides, at the least.
    """

    faults: list[Finding]
    more: int


def find_faults(tree: Tree, folder: Path, build: bool = True) -> Findings:
    """Everything wrong with a protocol.

    Validation stops at the first storey that fails: fields first, then their combinations. So what
    is wrong is put right in a copy, which is validated again until nothing new comes up.

    Args:
        tree: The protocol as it stands in a file, arms expanded.
        folder: Where relative paths start.
        build: Ask timm for the names of backbones and weights, and build each backbone, to see
            whether it takes the protocol's images. Without it, torch is not imported.
    """
    tree = copy.deepcopy(tree)
    findings: list[Finding] = []
    corrected: set[Location] = set()
    while errors := _validate(tree, folder):
        if errors[0]["type"] == "clashes":
            arms = [Arm.model_validate(arm, context={"folder": folder}) for arm in tree["arms"]]
            unknown = unknown_names(arms) if build else ()
            findings += _of_the_user([*errors[0]["ctx"]["clashes"], *unknown], corrected)
            return Findings(findings[:MOST_FAULTS], len(findings[MOST_FAULTS:]))
        room = MOST_FAULTS - len(findings)
        found = [(_location(error), error) for error in errors[:room]]
        misspelt = {
            (*location[:-1], key)
            for location, error in found
            if error["type"] == "extra_forbidden"
            for key in nearest(str(location[-1]), _section(tree, location).model_fields)
        }
        before = copy.deepcopy(tree)
        for location, error in found:
            corrected.add(_correct(tree, location, error))
            # `roto: data` is one fault, not an unknown key and a missing root.
            if not (error["type"] == "missing" and location in misspelt):
                findings.append((location, _sentence(error, before)))
        corrected |= misspelt
        if len(errors) > room:
            return Findings(findings, len(errors) - room)
        if tree == before:  # nothing stands in for it: what else is wrong, the next check will say
            return Findings(findings, 0)
    if build:
        protocol = Protocol.model_validate(tree, context={"folder": folder})
        findings += _of_the_user(backbone_clashes(protocol), corrected)
    return Findings(findings[:MOST_FAULTS], len(findings[MOST_FAULTS:]))


def _of_the_user(clashes: Iterable[Clash], corrected: set[Location]) -> list[Finding]:
    """Clashes without those of a value that was put right by us."""
    return [
        (clash.keys[0], clash.sentence)
        for clash in clashes
        if not any(_overlap(key, other) for key in clash.keys for other in corrected)
    ]


def _validate(tree: Tree, folder: Path) -> list[Any]:
    try:
        Protocol.model_validate(tree, context={"folder": folder})
    except ValidationError as error:
        return list(error.errors(include_url=False))
    return []


def _location(error: Any) -> Location:
    """Where the error is in the file."""
    location: Location = error["loc"]
    return (*location, "source") if error["type"].startswith("union_tag") else location


def _correct(tree: Tree, location: Location, error: Any) -> Location:
    """Put a wrong value right, by leaving it out where possible; return what was changed."""
    if error["type"] == "union_tag_invalid":
        guess = nearest(str(error["ctx"]["tag"]), _quoted(error["ctx"]["expected_tags"]))
        if guess:
            _parent(tree, location)["source"] = guess[0]
            return location
    if error["type"].startswith("union_tag"):
        location = location[:-1]
    while isinstance(location[-1], int) and location[:-1] != ("arms",):
        location = location[:-1]
    parent, key = _parent(tree, location), location[-1]
    if error["type"] == "extra_forbidden":
        del parent[key]
    elif location[:-1] == ("arms",):
        parent[key] = STAND_INS["arms"][0]
    elif location[:-1] == ("sources",):
        parent[key] = STAND_INS["data"]
    else:
        parent.pop(key, None)
        if key in STAND_INS:
            parent[key] = copy.deepcopy(STAND_INS[str(key)])
    return location


def _parent(tree: Tree, location: Location) -> Any:
    return reduce(lambda part, step: part[step], location[:-1], tree)  # type: ignore[index]


def _overlap(one: Location, other: Location) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _sentence(error: Any, tree: Tree) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(str(error["loc"][-1]), _section(tree, error["loc"]))
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", context["expected"])
        hint = did_you_mean(str(error["input"]), options)
        expected = context["expected"].replace("'", "")
        return f"must be {expected}, not {_got(error['input'])}{hint}"
    if kind == "union_tag_invalid":
        options = _quoted(context["expected_tags"])
        hint = did_you_mean(str(context["tag"]), options)
        return f"must be {_choice(options)}, not '{context['tag']}'{hint}"
    if kind == "union_tag_not_found":
        return f"is missing: write {_choice(list(SOURCES.names()))}"
    if kind in SENTENCES:
        return SENTENCES[kind].format(got=_got(error["input"]), **context)
    return str(error["msg"])


def _unknown_key(key: str, section: type[Section]) -> str:
    if hint := did_you_mean(key, section.model_fields):
        return f"unknown key{hint}"
    methods = RECIPES.names()
    for name, other in sorted(sections().items(), key=lambda item: item[0] in methods):
        if key in other.model_fields and name in Protocol.model_fields:
            return f"unknown key here, it belongs in {name}"
    return f"unknown key, the keys here are {', '.join(section.model_fields)}"


def _section(tree: Tree, location: Location) -> type[Section]:
    """The section of a protocol, of sound data sources, that a key stands in."""
    match location:
        case ("data", _, *_):
            place, rest = tree["data"], location[1:-1]
        case ("sources", name, _, *_):
            place, rest = tree["sources"][name], location[2:-1]
        case _:
            place, rest = {}, location[:-1]
    names = [step for step in rest if isinstance(step, str)]
    if place and not names:
        return _configuration(place)
    return sections()[names[-1] if names else ""]


def _configuration(data: Any) -> type[Section]:
    source = data.get("source") if isinstance(data, dict) else None
    return configuration(source) if source in list(SOURCES.names()) else DataSection


def sections() -> dict[str, type[Section]]:
    """Every section of a protocol by the key it stands under, data sources by their `source`."""
    found = _sections(Protocol, "")
    for source in SOURCES.names():
        found |= _sections(configuration(source), source)
    return found


def _sections(model: type[Section], name: str) -> dict[str, type[Section]]:
    found = {name: model}
    for key, field in model.model_fields.items():
        for nested in _section_types(field.annotation):
            found |= _sections(nested, key)
    return found


def _section_types(annotation: Any) -> Iterator[type[Section]]:
    is_section = isinstance(annotation, type) and issubclass(annotation, Section)
    if is_section and annotation is not DataSection:  # which stands for any source
        yield annotation
    for part in get_args(annotation):
        yield from _section_types(part)


def _choice(options: list[str]) -> str:
    return f"{', '.join(options[:-1])} or {options[-1]}"


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _got(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "a group of keys"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) < 60 else f"{text[:60]}..."
