"""The pages' templates, in which every text is escaped."""

from __future__ import annotations

import jinja2


def template(name: str) -> jinja2.Template:
    """A template of this folder; it may include its neighbors."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vitrial", "report/static"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
