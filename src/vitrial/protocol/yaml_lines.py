"""YAML that remembers its lines, so that every complaint can point at one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

Location = tuple[str | int, ...]


def dotted(location: Location) -> str:
    """A location as people write it: `arms[1].backbone`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


@dataclass(frozen=True)
class Fault:
    """Something wrong in a file.

    Attributes:
        line: Line in the file, from 1; None where no line is to blame.
        location: The key concerned, such as `recipe.plateau.factor`; perhaps empty.
        sentence: What is wrong.
    """

    line: int | None
    location: str
    sentence: str

    def __str__(self) -> str:
        line = "" if self.line is None else f"line {self.line}: "
        return line + (f"{self.location}: " if self.location else "") + self.sentence


@dataclass
class Document:
    """A YAML text as dictionaries, lists and scalars.

    Attributes:
        tree: The content; every key is a string.
        lines: Line, from 1, of every key and list item.
        faults: Duplicate keys and other trouble that reading could go on after.
    """

    tree: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, location: Location) -> int | None:
        """The line of a location; for what is not in the file, of the section it is missing in."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location)

    def blame(self, location: Location, sentence: str) -> Fault:
        """A fault at a location."""
        return Fault(self.line(location), dotted(location), sentence)


# The plain scalars of YAML 1.2. PyYAML knows 1.1, where 1e-4 is a text, NO is false, 010 is 8 and
# 2021-10-01 is a date.
RESOLVERS = {
    "null": (re.compile(r"(~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    "bool": (re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    "int": (re.compile(r"[-+]?[0-9]+\Z"), list("-+0123456789")),
    "float": (
        re.compile(
            r"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
            r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z"
        ),
        list("-+.0123456789"),
    ),
}


class _Loader(yaml.SafeLoader):
    """Reads YAML 1.2's scalars; refuses aliases, which could make a small file endless."""

    yaml_implicit_resolvers = {}  # noqa: RUF012

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="write the value out: no aliases", problem_mark=mark)
        return super().compose_node(parent, index)


for _name, (_pattern, _first) in RESOLVERS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _pattern, _first)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))


def read_yaml(text: str, names: frozenset[str] = frozenset()) -> Document:
    """Read a YAML text; whatever is wrong with it is in the document's `faults`.

    Args:
        text: One YAML document.
        names: Keys of lists whose items are names: `[0, 1, no]` is read as three strings.
    """
    document = Document()
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        document.tree = _build(loader, root, (), document, names)
    except yaml.MarkedYAMLError as error:
        document.faults.append(_syntax_fault(error))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.faults.append(Fault(line, "", "a character that is no text"))
    except RecursionError:
        document.faults.append(Fault(None, "", "nested too deeply"))
    return document


def _build(
    loader: _Loader, node: Any, location: Location, document: Document, names: frozenset[str]
) -> Any:
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            here = (*location, str(key.value))
            if not isinstance(key, yaml.ScalarNode):
                document.faults.append(Fault(line, dotted(location), "a key must be a plain word"))
            elif key.value in mapping:
                sentence = f"given twice, first in line {document.lines[here]}"
                document.faults.append(Fault(line, dotted(here), sentence))
            else:
                document.lines[here] = line
                mapping[key.value] = _build(loader, value, here, document, names)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            document.lines[*location, position] = item.start_mark.line + 1
        return [
            _build(loader, item, (*location, position), document, names)
            for position, item in enumerate(node.value)
        ]
    if node is None or (location[-2:-1] and location[-2] in names):
        return None if node is None else (node.value or None)
    try:
        return loader.construct_object(node)
    except (yaml.constructor.ConstructorError, ValueError):
        line = node.start_mark.line + 1
        document.faults.append(Fault(line, dotted(location), f"cannot read {node.tag} here"))
        return node.value


def _syntax_fault(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    problem = str(error.problem)
    if "'\\t'" in problem:
        problem = "indented by a tab: use spaces"
    line = None if mark is None else mark.line + 1
    return Fault(line, "", f"not YAML: {problem}")
