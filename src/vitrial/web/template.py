"""The pages' templates, in which every text is escaped, and the files that they load."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import jinja2
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@cache
def environment() -> jinja2.Environment:
    """The templates of this package."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("vitrial", "web/static"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def static(*names: str) -> list[Route]:
    """Routes to style sheets and scripts: those named, and the report's style."""
    routes = [_route("style.css", "report/static/style.css")]
    return routes + [_route(name, f"web/static/{name}") for name in names]


def _route(name: str, file: str) -> Route:
    kind = "text/css" if name.endswith(".css") else "text/javascript"

    def content(request: Request) -> Response:
        return Response(files("vitrial").joinpath(file).read_bytes(), media_type=kind)

    return Route(f"/{name}", content)
