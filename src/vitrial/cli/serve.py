"""Commands that serve pages to a browser: serve, watch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from vitrial.cli.opening import open_study
from vitrial.cli.options import Cache, Port, Root, StudyFolder
from vitrial.cli.sentences import out_console, sentences


def serve(
    study: StudyFolder,
    host: Annotated[
        str, typer.Option(help="The address to listen on; others can then ask too.")
    ] = "127.0.0.1",
    port: Port = None,
    root: Root = None,
    cache: Cache = None,
) -> None:
    """Serve a page on which each arm answers about an image; not a medical device."""
    with sentences():
        from vitrial.web.server import address, listen, require_server, serve

        require_server()
        loaded = open_study(study)
        with listen(host, port, preferred=8572) as listening:
            from vitrial.web.answers import load_panel
            from vitrial.web.serve import serve_app

            app = serve_app(load_panel(loaded, root, cache), host)
            _announce(f"{address(listening)}  Ctrl-C ends it.")
            serve(app, listening)


def watch(study: StudyFolder, port: Port = None) -> None:
    """Serve the report of a study on this machine, renewed while the study runs."""
    with sentences():
        from vitrial.errors import VitrialError
        from vitrial.store.registration import holds_study
        from vitrial.web.server import LOCAL, address, listen, require_server

        require_server()
        if not holds_study(study):  # one whose data are still being prepared is watched too
            raise VitrialError(
                f"{study} holds no study: name the folder that `vitrial run` printed."
            )
        with listen(LOCAL, port, preferred=8571) as listening:
            from vitrial.web.watch import serve_watch

            _announce(f"{address(listening)}  Ctrl-C ends it.")
            serve_watch(study, listening)


@contextmanager
def watched(study: Path, wanted: bool) -> Iterator[None]:
    """Serve the report of a study while the block runs it, if that is wanted."""
    if not wanted:
        yield
        return
    from vitrial.web.server import LOCAL, address, listen, require_server

    require_server()
    with listen(LOCAL, None, preferred=8571) as listening:
        from vitrial.web.watch import watching

        _announce(f"Its report while it runs: {address(listening)}")
        with watching(study, listening):
            yield


def _announce(text: str) -> None:
    out_console.print(text, soft_wrap=True, highlight=False)
    out_console.file.flush()  # it is waited for, in a pipe too
