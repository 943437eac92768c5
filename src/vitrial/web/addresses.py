"""What a server is called: its own names, and those that only point at it."""

from __future__ import annotations

import socket
from ipaddress import ip_address

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = frozenset({"0.0.0.0", "::"})
"""Addresses that stand for all of a machine's."""


def is_own(header: str, host: str) -> bool:
    """Whether a Host header names this server.

    A name that is made to point here is not among its names. Where it listens on all of its
    machine's addresses, any address counts, since none can be made to point elsewhere.

    Args:
        header: Such as `127.0.0.1:8000` or `[::1]:8000`.
        host: What the server listens on.
    """
    name = header.rpartition(":")[0] if not header.endswith("]") and ":" in header else header
    name = name.lower().removeprefix("[").removesuffix("]")
    if name in LOOPBACK or name == host.lower():
        return True
    return host in EVERYWHERE and (_is_address(name) or name in own_names())


def own_names() -> set[str]:
    """What this machine calls itself."""
    return {find().lower() for find in (socket.gethostname, socket.getfqdn)}


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
