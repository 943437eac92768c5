"""Protocols as YAML files: reading with every fault at its line, writing, the ready-made ones."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import yaml

from vitrial.atomic import write_text
from vitrial.errors import VitrialError
from vitrial.protocol import Protocol
from vitrial.protocol.checks import MOST_ARMS
from vitrial.protocol.data import SOURCES, configuration
from vitrial.protocol.faults import MOST_FAULTS, find_faults
from vitrial.protocol.selfsupervision import RECIPES
from vitrial.protocol.yaml_lines import RESOLVERS, Document, Fault, Location, read_yaml
from vitrial.spelling import did_you_mean, nearest

READY = Path(__file__).parents[1] / "presets"
NAME_LISTS = frozenset({"classes"})
LARGEST = 100_000
"""Bytes of a file: several times what `MOST_ARMS` arms take, and read in an instant."""


class ProtocolError(VitrialError):
    """A protocol that cannot be used, with everything wrong in it.

    Attributes:
        problems: The faults, in the order of their lines.
    """

    def __init__(self, file: str, problems: list[Fault], more: int = 0) -> None:
        self.problems = sorted(problems, key=lambda fault: fault.line or 0)
        lines = "".join(f"\n  {_short(str(fault))}" for fault in self.problems[:MOST_FAULTS])
        if more := more + len(self.problems[MOST_FAULTS:]):
            lines += f"\n  and {more:,} more"
        super().__init__(f"{file} cannot be used as a protocol:{lines}")


def load_protocol(
    name_or_path: str | Path, root: Path | None = None, *, build: bool = True
) -> Protocol:
    """Read a built-in protocol or a YAML file.

    Paths in a file are relative to its folder, in a built-in protocol to the current one.

    Args:
        name_or_path: The name of a built-in protocol, or a file.
        root: Takes the place of `data.root`; relative to the current folder.
        build: Ask timm for the names of backbones and weights, and build each backbone, to see
            whether it takes the protocol's images; needless for a protocol that has been run.
            Without it, torch is not imported.

    Raises:
        ProtocolError: With all that is wrong, each with its line.
    """
    ready = READY / f"{name_or_path}.yaml"
    is_ready = str(name_or_path) in ready_protocols()
    file = ready if is_ready else Path(name_or_path)
    label = f"{name_or_path} (ready-made)" if is_ready else str(name_or_path)
    folder = Path.cwd() if is_ready else file.absolute().parent

    document = read_yaml(_text(file, label), NAME_LISTS)
    if not isinstance(document.tree, dict):
        empty = Fault(None, "", "holds no keys such as `name`, `data` and `arms`")
        raise ProtocolError(label, document.faults or [empty])
    faults = document.faults + _replace_root(document, root)
    if (arms := _number_of_arms(document.tree)) > MOST_ARMS:
        sentence = f"these are {arms:,} arms, more than {MOST_ARMS}: leave some out"
        raise ProtocolError(label, [*faults, document.blame(("arms",), sentence)])
    tree, origins = _expand_arms(document.tree)
    found, more = find_faults(tree, folder, build)
    faults += [document.blame(_origin(location, origins), sentence) for location, sentence in found]
    if faults:
        raise ProtocolError(label, list(dict.fromkeys(faults)), more)
    return Protocol.model_validate(tree, context={"folder": folder})


def ready_protocols() -> dict[str, str]:
    """The built-in protocols: name, and the first line of the comment that opens it."""
    return {
        file.stem: file.read_text(encoding="utf-8").partition("\n")[0].strip("# ")
        for file in sorted(READY.glob("*.yaml"))
    }


def show(name: str) -> str:
    """The text of a built-in protocol, comments included.

    Raises:
        ProtocolError: There is none of this name.
    """
    if name not in ready_protocols():
        raise ProtocolError(name, [Fault(None, "", _no_such(name, "no built-in protocol", []))])
    return (READY / f"{name}.yaml").read_text(encoding="utf-8")


def protocol_text(protocol: Protocol) -> str:
    """The protocol as YAML with every value written out; reads back as the same protocol."""
    content = protocol.model_dump(mode="json")
    content["data"] = _data_content(content["data"])
    content["sources"] = {name: _data_content(data) for name, data in content["sources"].items()}
    content["arms"] = [_without_empty(arm) for arm in content["arms"]]
    if content["comparisons"] is not None:
        content["comparisons"] = [_without_empty(one) for one in content["comparisons"]]
    content |= {method: content.pop(method) for method in RECIPES.names()}  # they come last
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def relocated(protocol: Protocol, root: Path | None) -> Protocol:
    """The protocol with its data at another root, relative to the current folder.

    Raises:
        VitrialError: Its source reads no folder.
    """
    if root is None:
        return protocol
    if "root" not in type(protocol.data).model_fields:
        raise VitrialError(
            f"The source {protocol.data.source} reads no folder: leave the root given for it out."
        )
    data = protocol.data.model_copy(update={"root": root.absolute()})
    return protocol.model_copy(update={"data": data})


def write_protocol(protocol: Protocol, path: Path) -> None:
    """Write the protocol to a YAML file, atomically."""
    write_text(path, protocol_text(protocol))


def _text(file: Path, label: str) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
        if len(content) <= LARGEST:
            return content.decode("utf-8-sig")
        fault = Fault(None, "", f"longer than the {LARGEST:,} bytes that a protocol may have")
    except (FileNotFoundError, NotADirectoryError):
        fault = Fault(None, "", _no_file(file, label))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        fault = Fault(line, "", "not UTF-8 text: save the file as UTF-8")
    except OSError as error:
        fault = Fault(None, "", f"cannot be read: {error.strerror}")
    raise ProtocolError(label, [fault])


def _no_file(file: Path, label: str) -> str:
    beside = sorted(str(file.with_name(other.name)) for other in file.parent.glob("*.y*ml"))
    if file.suffix in (".yaml", ".yml") or len(file.parts) > 1:
        hint = did_you_mean(label, beside)
        return f"there is no such file{hint or ': correct the path, or restore the file'}"
    return _no_such(label, "neither a file nor a built-in protocol", beside)


def _short(text: str) -> str:
    return text if len(text) <= 500 else f"{text[:500]}..."


def _no_such(name: str, what: str, others: list[str]) -> str:
    known = [*ready_protocols(), *others]
    close = nearest(name, known, count=len(known))
    ordered = [*close, *(other for other in known if other not in close)]
    return f"{what}: choose {' or '.join(ordered[:10])}"


def _replace_root(document: Document, root: Path | None) -> list[Fault]:
    data = document.tree.get("data")
    if root is None or not isinstance(data, dict):
        return []
    source = data.get("source")
    if source in list(SOURCES.names()) and "root" not in configuration(source).model_fields:
        sentence = f"the source {source} reads no folder: leave the root given for it out"
        return [document.blame(("data", "source"), sentence)]
    # A leading ~ is left to validation, which reports users that do not exist.
    data["root"] = str(root if str(root).startswith("~") else Path.cwd() / root)
    return []


def _number_of_arms(tree: dict[str, Any]) -> int:
    """How many arms `_expand_arms` makes."""
    arms = tree.get("arms")
    items = arms if isinstance(arms, list) else []
    lists = (_nonempty_lists(arm) if isinstance(arm, dict) else {} for arm in items)
    return sum(math.prod(map(len, keys.values())) for keys in lists)


# For each expanded arm: its position in the file, and which item of each list it took.
Origins = list[tuple[int, dict[str, int]]]


def _expand_arms(tree: dict[str, Any]) -> tuple[dict[str, Any], Origins]:
    """Replace arms that list backbones or initializations by one arm for each combination."""
    arms = tree.get("arms")
    if not isinstance(arms, list):
        return tree, []
    expanded: list[Any] = []
    origins: Origins = []
    for position, arm in enumerate(arms):
        lists = _nonempty_lists(arm) if isinstance(arm, dict) else {}
        for picks in itertools.product(*(range(len(items)) for items in lists.values())):
            taken = dict(zip(lists, picks, strict=True))
            chosen = {key: lists[key][pick] for key, pick in taken.items()}
            expanded.append({**arm, **chosen} if lists else arm)
            origins.append((position, taken))
    return {**tree, "arms": expanded}, origins


def _nonempty_lists(arm: dict[str, Any]) -> dict[str, list[Any]]:
    keys = ("backbone", "initialization")
    return {key: arm[key] for key in keys if isinstance(arm.get(key), list) and arm[key]}


def _origin(location: Location, origins: Origins) -> Location:
    """Where something in the expanded arms stands in the file."""
    match location:
        case ("arms", int(index), *rest) if index < len(origins):
            position, taken = origins[index]
            pick = [taken[str(rest[0])]] if rest and rest[0] in taken else []
            return ("arms", position, *rest, *pick)
    return location


class _Dumper(yaml.SafeDumper):
    """Short lists in one line, long texts as blocks; quotes what our reader would misread."""


for _name, (_pattern, _first) in RESOLVERS.items():
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _pattern, _first)


def _list_node(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    flow = not any(isinstance(item, dict) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # PyYAML escapes Unicode's own line breaks in double quotes only.
    plain = all(line.isprintable() for line in text.split("\n"))
    style = ("|" if "\n" in text else None) if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(list, _list_node)
_Dumper.add_representer(str, _text_node)


def _data_content(data: dict[str, Any]) -> dict[str, Any]:
    first = {key: data[key] for key in ("source", "root") if key in data}
    return _without_empty(first | data)


def _without_empty(content: dict[str, Any]) -> dict[str, Any]:
    """Leave out keys without value; in data and arms that is what a missing key means."""
    return {key: value for key, value in content.items() if value is not None}
