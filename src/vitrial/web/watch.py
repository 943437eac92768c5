"""The report of a study while it runs, renewed as it changes, with what is done and left."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from pathlib import Path

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vitrial.errors import VitrialError
from vitrial.protocol import digest
from vitrial.records import DamagedError
from vitrial.report.page import build_page
from vitrial.report.snapshot import Snapshot
from vitrial.spelling import duration
from vitrial.store.study import load_study
from vitrial.web.guard import Guard
from vitrial.web.server import serve
from vitrial.web.standing import standing
from vitrial.web.template import environment, static

POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CHANGES = ("*.json", "*/*.json", "*/*/result.json", "*/*/failure.json", "*/*/metrics.jsonl")
"""Files of a study by which its report changes."""
REST = 9
"""How many times as long as it took to build the page, it is then kept: a study that runs needs the
processor."""
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Watched:
    """A study's folder, and the report that was last built of it.

    Args:
        path: The folder; need not be there yet.

    Attributes:
        version: Of the report; changes with it, and is empty before the first one.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.version = path, ""
        self._page = self._waiting()
        self._building, self._due = threading.Lock(), 0.0

    def page(self) -> str:
        """The report as it was last built, with room for `progress`."""
        return self._page

    def progress(self) -> str:
        """What is done, under way, failed and left, as a part of the page."""
        stands, trouble = None, ""
        try:
            stands = standing(load_study(self.path))
        except DamagedError as error:
            trouble = str(error)
        except VitrialError:  # its data are being prepared
            pass
        facts = {"standing": stands, "trouble": trouble, "in_words": duration}
        return environment().get_template("progress.html.j2").render(facts)

    def renew(self) -> None:
        """Build the report anew if the study has changed, unless that was done just now."""
        version, started = self._stamp(), time.monotonic()
        if version == self.version or started < self._due:
            return
        if not self._building.acquire(blocking=False):
            return
        try:
            snapshot = Snapshot(load_study(self.path))
            self._page = build_page(snapshot, self._above(version))
            self.version = version
        except VitrialError:  # what is wrong is said by `progress`
            pass
        finally:
            ended = time.monotonic()
            self._due = ended + REST * (ended - started)
            self._building.release()

    def _waiting(self) -> str:
        facts = {"name": self.path.resolve().name, "above": self._above("")}
        return environment().get_template("waiting.html.j2").render(facts)

    def _above(self, version: str) -> Markup:
        return Markup(environment().get_template("watch.html.j2").render(version=version))

    def _stamp(self) -> str:
        files = sorted(path for pattern in CHANGES for path in self.path.glob(pattern))
        stamps = []
        for path in files:
            with suppress(FileNotFoundError):  # replaced just now
                found = path.stat()
                stamps.append((path.name, found.st_mtime_ns, found.st_size))
        return digest(stamps)


def watch_app(path: Path, host: str) -> ASGIApp:
    """The application.

    Args:
        path: The study's folder.
        host: What it listens on.
    """
    watched = Watched(path)

    def page(request: Request) -> Response:
        text = watched.page()
        policy = POLICY.format(scripts="".join(map(_hash, INLINE.findall(text))))
        return HTMLResponse(text, headers={"Content-Security-Policy": policy})

    def live(request: Request) -> Response:
        # Nobody waits for the report, nor does Ctrl-C.
        threading.Thread(target=watched.renew, daemon=True).start()
        return JSONResponse({"progress": watched.progress(), "version": watched.version})

    app = Starlette(routes=[Route("/", page), Route("/live", live), *static("web.css", "watch.js")])
    app.router.redirect_slashes = False  # a path is one of these, or nothing
    return Guard(app, host, POLICY.format(scripts=""))


def serve_watch(path: Path, listening: socket.socket) -> None:
    """Serve a study's page until Ctrl-C."""
    serve(watch_app(path, listening.getsockname()[0]), listening)


@contextmanager
def watching(path: Path, listening: socket.socket) -> Iterator[None]:
    """Serve a study's page from a process of its own, as long as the block and this process last.

    Training keeps this one to itself.
    """
    beside = get_context("spawn").Process(target=_serve_beside, args=(path, listening), daemon=True)
    beside.start()
    try:
        yield
    finally:
        beside.terminate()
        beside.join()


def _serve_beside(path: Path, listening: socket.socket) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that trains answers to Ctrl-C
    parent = parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    serve_watch(path, listening)


def _hash(inline: str) -> str:
    """What allows a script that stands in the page itself."""
    return f" 'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"
