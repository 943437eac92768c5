"""The pages' templates and files; every text is escaped."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import jinja2


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


def style() -> str:
    """The report's style, and what the pages here have besides."""
    sheets = ("report/static/style.css", "web/static/web.css")
    return "\n".join(files("vitrial").joinpath(sheet).read_text("utf-8") for sheet in sheets)


def script(name: str) -> str:
    """A script of this package."""
    return files("vitrial").joinpath("web/static", name).read_text("utf-8")
