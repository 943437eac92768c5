"""What is refused before a page sees it: requests from other names, other sites and other pages.

A server on loopback is open to every page that the same browser shows. A page can send requests
here by `fetch` or a form (stopped by the origin's check), and read the answers if its own name is
made to point here (DNS rebinding; stopped by the check of the Host header).
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = frozenset({"0.0.0.0", "::"})
"""Addresses that stand for all of a machine's."""
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Wraps an application: refuses what it must not answer, and adds headers to what it answers.

    Args:
        app: The application.
        host: The name or address that it listens on.
        policy: The Content-Security-Policy of what has none of its own.
    """

    def __init__(self, app: ASGIApp, host: str, policy: str) -> None:
        self.app, self.host = app, host
        self.headers = {**HEADERS, "Content-Security-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] != "http":  # nothing here speaks by websocket
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope))
        answer = self.app if refusal is None else refusal
        await answer(scope, receive, with_headers)

    def _refusal(self, method: str, headers: Headers) -> PlainTextResponse | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not is_own(hosts[0], self.host):
            return PlainTextResponse("This server is not called that.", 421)
        if method not in ("GET", "HEAD") and headers.get("origin") != f"http://{hosts[0]}":
            return PlainTextResponse("Only this server's own page may send something.", 403)
        return None


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
