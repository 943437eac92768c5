"""The pages' templates, in which every text is escaped."""

from __future__ import annotations

from functools import cache

import jinja2

from vitrial.report.tables import shown_table


def template(name: str) -> jinja2.Template:
    """A template of this folder; it may include its neighbors and import `macros.html.j2`."""
    return _environment().get_template(name)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vitrial", "report/static"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["shown_table"] = shown_table
    return environment
