"""Images that a trial holds out, kept from whatever is learned before it, by what they show."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd

from vitrial.atomic import replacing
from vitrial.data.audit.duplicates import METHOD, links
from vitrial.data.audit.sketches import sketch
from vitrial.data.batches import Part, UnlabeledImages
from vitrial.errors import Problem
from vitrial.protocol import digest

NAMED = 10
"""Images left out that are named."""


def without_held_out(part: Part, held_out: Part | None, name: str) -> tuple[Part, list[Problem]]:
    """Leave out of a part what shows the same picture as an image held out, or nearly.

    Args:
        part: Images of a transfer source, or without labels.
        held_out: The trial's validation and test images, prepared likewise; None if there are none.
        name: Of the part, for the note.

    Returns:
        What is left of the part, and a note that says how many images were left out.
    """
    cache, rows = part
    if held_out is None or not len(rows):
        return part, []
    copies = _copies(part, held_out)
    if not copies.any():
        return part, []
    names = cache.index["image"].to_numpy()[rows[copies]]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    what = (
        f"has {len(names)} images of the trial's validation or test split, or copies of them: left "
        f"out ({', '.join(names[:NAMED])}{more})"
    )
    return (cache, rows[~copies]), [Problem(name, what, "nothing", fatal=False)]


def _copies(part: Part, held_out: Part) -> np.ndarray:
    """Whether (n,) each image of a part is a copy; kept in its cache for the next time."""
    (cache, rows), (held_cache, held_rows) = part, held_out
    key = digest([METHOD, held_cache.key, held_rows.tolist(), rows.tolist()])
    path = cache.path / f"held-out-{key}.parquet"
    with suppress(OSError, ValueError, KeyError):
        return pd.read_parquet(path)["copy"].to_numpy()
    images = UnlabeledImages([held_out, part])
    sketches = sketch(lambda rows: images[rows].numpy(), len(images))
    held, others = np.split(
        np.flatnonzero(sketches.shows), [sketches.shows[: len(held_rows)].sum()]
    )
    copies = np.isin(sketches.digest, sketches.digest[held]) & sketches.shows
    # A crop of the one is no crop of the other: both are looked for.
    for some, rest in ((held, others), (others, held)):
        for pairs, _ in links(sketches, some, rest, lambda pairs: ~copies[pairs.max(axis=0)]):
            copies[pairs.max(axis=0)] = True  # the held out come first
    found: np.ndarray = copies[len(held_rows) :]
    with suppress(OSError), replacing(path) as temporary:  # a cache may be read-only
        pd.DataFrame({"copy": found}).to_parquet(temporary)
    return found
