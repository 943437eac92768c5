"""The section with the protocol and the versions."""

from __future__ import annotations

from vitrial.protocol.file import protocol_text
from vitrial.report.snapshot import Snapshot
from vitrial.report.template import template

TITLE = "Protocol"
SUMMARY = "What was registered before training, and which versions of the programs ran it."
ORDER = 90


def render(snapshot: Snapshot) -> str:
    """Hashes and versions, and the whole file."""
    text = protocol_text(snapshot.protocol)
    return template("protocol.html.j2").render(facts=snapshot.facts, protocol_text=text)
