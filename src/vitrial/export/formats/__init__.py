"""Formats that a model is exported to, one file each.

Each file has `SUMMARY`, what it writes, in a few words; `FILES`, their names; `EXTRA`, the extra of
the package that it needs and the modules of that extra, or None; `ORDER`, its place; and
`write(exported, folder)`, which writes them and returns a sentence for the user: how the model is
loaded, and what was measured of it.
"""

from vitrial.registry import Registry

FORMATS = Registry("vitrial.export.formats", ("SUMMARY", "FILES", "EXTRA", "ORDER", "write"))
