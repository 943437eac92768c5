"""Listening, and serving until somebody stops it."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from vitrial.errors import VitrialError
from vitrial.web.addresses import EVERYWHERE

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

LOCAL = "127.0.0.1"
ANY = 0
"""The port that stands for any free one."""


def listen(host: str, port: int | None, preferred: int) -> socket.socket:
    """Listen on an address, before anything that takes long.

    Args:
        host: A name or address of this machine.
        port: Which; `preferred`, or any free one where that is taken, if None.
        preferred: See `port`.

    Raises:
        VitrialError: The port is taken, or the address is not this machine's.
    """
    try:
        return _bound(host, preferred if port is None else port)
    except OSError as error:
        if port is None and error.errno == errno.EADDRINUSE:
            return _bound(host, ANY)
        reason = {
            errno.EADDRINUSE: "another program listens there: name another --port",
            errno.EACCES: "that takes an administrator: name a --port from 1024 on",
        }.get(error.errno or 0, f"{error.strerror or error}")
        raise VitrialError(f"Nothing can be served at {host}, port {port}: {reason}.") from error


def address(listening: socket.socket) -> str:
    """Where a browser finds what listens, such as `http://127.0.0.1:8000/`."""
    host, port = listening.getsockname()[:2]
    host = socket.gethostname() if host in EVERYWHERE else host
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def require_server() -> None:
    """Refuse to serve where what serves is not installed.

    Raises:
        VitrialError: Says what to install.
    """
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise VitrialError("Serving pages needs: pip install 'vitrial[serve]'")


def serve(app: ASGIApp, listening: socket.socket) -> None:
    """Serve an application until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        server_of(app).run(sockets=[listening])


def server_of(app: ASGIApp) -> uvicorn.Server:
    """What serves an application, and keeps nothing of what it is asked."""
    import uvicorn  # an extra

    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        ws="none",
        limit_concurrency=32,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)
