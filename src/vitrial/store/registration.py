"""Which protocol a study is of: what `study.json` registers, and a `protocol.yaml` edited since."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import yaml
from pydantic import ValidationError

from vitrial import legacy
from vitrial.atomic import remove_leftovers
from vitrial.errors import VitrialError
from vitrial.layout import (
    AUDIT,
    EXPLANATIONS,
    PARTS,
    PRETRAINED,
    PROTOCOL,
    REPORT,
    RUNS,
    STAGE,
    STUDY,
    TUNING,
)
from vitrial.outputs import refuse_foreign
from vitrial.protocol import Protocol
from vitrial.protocol.file import ProtocolError, load_protocol, protocol_text
from vitrial.records import DamagedError, Record, read_record, write_record

REGISTERED = "registered"
"""The key of `study.json` that holds the protocol."""


def registered_protocol(path: Path) -> Protocol:
    """The protocol of a study; of one whose `study.json` is damaged, that of `protocol.yaml`.

    Raises:
        VitrialError: There is no protocol to be read.
    """
    try:
        facts = read_record(path / STUDY, way_out_of(path), (REGISTERED,))
        return protocol_of(facts)
    except DamagedError as error:
        try:
            return load_protocol(path / PROTOCOL, build=False)
        except ProtocolError:
            raise VitrialError(
                f"{error.path} is {error.what} and {path / PROTOCOL} cannot be read: name the "
                f"protocol's own file, with `--out {shlex.quote(str(path))}`."
            ) from error


def registered(path: Path) -> Protocol | None:
    """The protocol that `study.json` holds; None if it cannot be read."""
    try:
        return protocol_of(read_record(path / STUDY, "", (REGISTERED,)))
    except VitrialError:
        return None


def register(path: Path, protocol: Protocol) -> None:
    """Begin a study: nothing of the user's is in its folder, which says what it is from now on.

    Files that processes left behind when they were killed are removed.

    Raises:
        VitrialError: The folder is not empty and holds no study.
    """
    refuse_foreign_study(path)
    if not holds_study(path):
        write_record(path / STUDY, {**registration(protocol), "stages": []})
    explanations = path / EXPLANATIONS
    remove_leftovers(path, path / AUDIT, path / REPORT, explanations, explanations / PARTS)


def refuse_foreign_study(path: Path) -> None:
    """Refuse a folder that is not empty and holds no study, before anything is looked for.

    Raises:
        VitrialError: It is such a folder.
    """
    if not holds_study(path):
        refuse_foreign(path, (), "study")


def holds_study(path: Path) -> bool:
    """Whether vitrial wrote the folder: it has `study.json`, or a run if that was lost."""
    stages = (STAGE, legacy.RUN)
    kinds = (RUNS, PRETRAINED, TUNING)
    marks = (STUDY, *(f"{kind}/*/{name}" for kind in kinds for name in stages))
    return any(any(path.glob(mark)) for mark in marks)


def registration(protocol: Protocol) -> Record:
    """What `study.json` holds of the protocol."""
    return {"protocol": protocol.hash(), REGISTERED: protocol.model_dump(mode="json")}


def protocol_of(facts: Record) -> Protocol:
    """The protocol that `study.json` holds.

    Raises:
        VitrialError: It is of a version that this one cannot read.
    """
    try:
        return Protocol.model_validate_json(json.dumps(facts[REGISTERED]))
    except ValidationError as error:
        first = error.errors()[0]
        raise VitrialError(
            "The study was run by another version of vitrial, whose protocol this one cannot read "
            f"({'.'.join(map(str, first['loc']))}: {first['msg']}): use that version."
        ) from error


def way_out_of(path: Path) -> str:
    """What the user can do about a damaged file of a study."""
    return f"`vitrial run {shlex.quote(str(path))}` recomputes it"


def edited(path: Path, protocol: Protocol) -> list[str]:
    """A sentence if `protocol.yaml` does not say what was run."""
    if _says(path / PROTOCOL, protocol):
        return []
    study = shlex.quote(str(path))
    return [
        f"{path / PROTOCOL} is not the protocol that was run: it has been edited, damaged or "
        "removed since, and is ignored. What it says is run by "
        f"`vitrial run {study}/{PROTOCOL} --out ANOTHER_FOLDER`; `vitrial run {study}` restores it."
    ]


def _says(file: Path, protocol: Protocol) -> bool:
    """Whether a file says a protocol, however it is written."""
    try:
        if file.read_text(encoding="utf-8") == protocol_text(protocol):
            return True
        return load_protocol(file, build=False).hash() == protocol.hash()
    except (OSError, ValueError):
        return False
    except ProtocolError:
        return _said_in_old_words(file, protocol)


def _said_in_old_words(file: Path, protocol: Protocol) -> bool:
    """Whether a file of version 0.1 says a protocol."""
    try:
        content = legacy.translated(yaml.safe_load(file.read_text(encoding="utf-8")))
        return Protocol.model_validate_json(json.dumps(content)).hash() == protocol.hash()
    except (yaml.YAMLError, ValueError):
        return False


def keep_edited(path: Path, protocol: Protocol) -> None:
    """Rename a `protocol.yaml` that the user edited, before it is rewritten."""
    file = path / PROTOCOL
    known = [one for one in (protocol, registered(path)) if one is not None]
    if file.exists() and not any(_says(file, one) for one in known):
        file.replace(path / f"{PROTOCOL}.edited")
