"""What is refused before a page sees it: requests from other names, other sites and other pages.

A server on loopback is open to every page that the same browser shows. A page can send requests
here by `fetch` or a form (stopped by the origin's check), and read the answers if its own name is
made to point here (DNS rebinding; stopped by the check of the Host header).
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vitrial.web.addresses import is_own

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
