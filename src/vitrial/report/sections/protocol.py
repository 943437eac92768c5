"""The section with the protocol, its history, and how to carry it out again."""

from __future__ import annotations

import base64
import shlex

import pandas as pd

from vitrial.protocol.file import protocol_text
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Protocol"
SUMMARY = (
    "What was registered before training, every change since, and the commands that carry it out "
    "again on the same images."
)
ORDER = 90


def render(snapshot: Snapshot) -> str:
    """The history, the commands and the whole file."""
    text = protocol_text(snapshot.protocol)
    encoded = base64.b64encode(text.encode()).decode()
    return template("protocol.html.j2").render(
        facts=snapshot.facts,
        file=f"{snapshot.protocol.name}.yaml",
        link=f"data:text/yaml;base64,{encoded}",
        commands=commands(snapshot),
        history=_history(snapshot),
        text=text,
    )


def commands(snapshot: Snapshot) -> list[str]:
    """What installs the programs of the study, checks its data and carries it out."""
    versions = snapshot.facts.program
    pinned = [f"{name}=={number}" for name, number in versions.items() if name != "vitrial"]
    install = [shlex.join(["pip", "install", *pinned])] if pinned else []
    file = f"{snapshot.protocol.name}.yaml"
    return [
        *install,
        shlex.join(["vitrial", "prepare", file]),
        shlex.join(["vitrial", "run", file]),
    ]


def _history(snapshot: Snapshot) -> pd.DataFrame:
    """A row for each protocol that the study was run with, the first first."""
    return pd.DataFrame(
        {
            "Registered (UTC)": entry.time.replace("T", " ").removesuffix("+00:00"),
            "Protocol": entry.after,
            "Finished runs": entry.finished,
            "Changes": ", ".join(map(str, entry.changes)) or "first registration",
        }
        for entry in snapshot.history
    )
