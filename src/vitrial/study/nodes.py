"""Links between the nodes that train one model together: from the first to each of the others.

By its link the first tells a node what to take part in, and hears how that ended there. A node that
dies closes its link, so that none waits for it in vain.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge

from vitrial.errors import VitrialError

PATIENCE = 600
"""Seconds that nodes wait for each other: from a slow disk the program takes minutes to import."""


def port_of(job: int) -> int:
    """The port of the first node that the others link to, which all know from the job's number.

    Jobs that begin one after the other have different ones, and Linux hands out none of them by
    itself, since those begin at 32768.
    """
    return 20_000 + job % 10_000


@contextmanager
def links_to_others(number: int, port: int, key: bytes) -> Iterator[list[Connection]]:
    """Have the other nodes link to this one, the first; the links close with the block.

    Args:
        number: Of the others.
        port: Of this node.
        key: That nodes of the job alone know.

    Raises:
        VitrialError: The port is taken, or a node did not come.
    """
    with ExitStack() as closing:
        links: list[Connection] = []
        if number:
            server = closing.enter_context(_listening(port))
        while len(links) < number:
            try:
                incoming, _ = server.accept()
            except TimeoutError:
                raise VitrialError(
                    f"Of {1 + number} nodes {1 + len(links)} began within {PATIENCE / 60:g} "
                    "minutes: what the job of each printed says why."
                ) from None
            with suppress(AuthenticationError, EOFError, OSError):  # no node of this job
                link = closing.enter_context(Connection(incoming.detach()))
                deliver_challenge(link, key)
                answer_challenge(link, key)
                links.append(link)
        yield links


def link_to_first(address: str, port: int, key: bytes) -> Connection:
    """Link this node to the first, as soon as that can be.

    Raises:
        VitrialError: It did not come.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            link = Connection(socket.create_connection((address, port)).detach())
            answer_challenge(link, key)
            deliver_challenge(link, key)
            return link
        except (AuthenticationError, EOFError, OSError) as error:
            if time.monotonic() > until:
                raise VitrialError(
                    f"The first node, {address}, did not answer at port {port}: ports above 20000 "
                    "must be open between the nodes."
                ) from error
            time.sleep(1)


def _listening(port: int) -> socket.socket:
    try:
        server = socket.create_server(("", port))
    except OSError as error:
        raise VitrialError(
            f"Port {port} of the first node is taken ({error.strerror}): the same command submits "
            "jobs with other ports."
        ) from error
    server.settimeout(PATIENCE)
    return server
