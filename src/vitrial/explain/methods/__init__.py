"""Methods of explanation, one file each; they know a model and images alone, no study.

Each file has `LABEL`, its name for people; `SUMMARY`, one sentence that says what its map shows;
`FAMILIES`, the families of models that it may fit; `VERSION`, raised whenever its maps change;
`ORDER`, its place in tables; and `maps(model, images, target)`: of a frozen model, normalized
images (n, channels, height, width) and the classes to explain (n,), or None for the predicted ones,
it gives maps, nonnegative and as coarse as they are, (n, h, w) or (n, heads, h, w), and the logits.
Where a model lacks what it reads, it raises a `VitrialError` that says so.

A file may have `ANY_MODEL = True`, where it fits every model with a map of every pixel, so that it
need not be tried; and `note(model)`, what the reader of its maps should know.
"""

from vitrial.registry import Registry

METHODS = Registry(
    "vitrial.explain.methods", ("LABEL", "SUMMARY", "FAMILIES", "VERSION", "ORDER", "maps")
)
