"""Commands that serve pages to a browser: serve, watch."""

from __future__ import annotations

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
    """Serve a page where a dropped image is answered by each arm. No medical device."""
    with sentences():
        from vitrial.web.server import address, listen, require_server, serve

        require_server()
        loaded = open_study(study)
        with listen(host, port, preferred=8572) as listening:
            from vitrial.web.answers import load_panel
            from vitrial.web.serve import serve_app

            app = serve_app(load_panel(loaded, root, cache), host)
            _announce(address(listening))
            serve(app, listening)


def _announce(url: str) -> None:
    out_console.print(f"{url}  Ctrl-C ends it.", soft_wrap=True, highlight=False)
