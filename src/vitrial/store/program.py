"""Which program computes: recorded with every run, and part of no key."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("torch", "torchvision", "timm", "lightly")
"""Those whose versions may change the bits of a run."""


@cache
def program() -> dict[str, str]:
    """The versions of vitrial, with a digest of its sources, and of the libraries."""
    return {
        "vitrial": f"{version('vitrial')}+{_digest_of_sources()}",
        **{name: version(name) for name in LIBRARIES},
    }


def _digest_of_sources() -> str:
    """8 hexadecimal digits that change with any source file, wherever the package lies."""
    package = Path(__file__).parents[1]
    content = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content.update(path.relative_to(package).as_posix().encode() + b"\0")
        content.update(path.read_bytes() + b"\0")
    return content.hexdigest()[:8]
