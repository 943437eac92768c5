"""What real lesion masks are like: the figures behind the notes on masks.

Reads HAM10000's masks (`masks.zip`), and prints how much of an image they cover, how many sizes
there are, and how many of them the checks would note.

    python benchmarks/masks.py [--root ../shared/data/ham10000] [--quick] [--json PATH]
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from table import Row, publish

from vitrial.data.audit.mask_checks import FULL
from vitrial.data.io.decode import decode
from vitrial.data.io.masks import is_resized, read_mask
from vitrial.data.sources import load_dataset
from vitrial.data.sources.ham10000 import Ham10000Data
from vitrial.protocol import Image

QUICK = 1000
SHARES = (0, 1, 50, 99, 99.9, 100)


def main(
    root: Annotated[Path, typer.Option(help="HAM10000's folder.")] = Path(
        "../shared/data/ham10000"
    ),
    quick: Annotated[bool, typer.Option(help="Every tenth mask.")] = False,
    json: Annotated[Path | None, typer.Option(help="Where the rows are written.")] = None,
) -> None:
    """Print the distribution of covered shares, and what the checks say of sound masks."""
    dataset = load_dataset(Ham10000Data(source="ham10000", root=root))
    rows = dataset.manifest.iloc[:: len(dataset.manifest) // QUICK if quick else 1]
    shares, sizes, misfits = [], set(), 0
    for image, mask in zip(rows["image"], rows["mask"], strict=True):
        lesion = read_mask(dataset.reader, mask)
        decoded = decode(dataset.reader.read(image), Image(resize=32))
        size = lesion.shape[::-1]
        shares.append(lesion.mean())
        sizes.add(size)
        misfits += not is_resized(size, (decoded.width, decoded.height))
    share = np.array(shares)
    found = [
        Row("masks", len(share), "masks"),
        Row("sizes", len(sizes), "sizes"),
        *(
            Row(f"covered share, percentile {p:g}", float(np.percentile(share, p)), "of the image")
            for p in SHARES
        ),
        Row("empty", int((share == 0).sum()), "masks"),
        Row(f"fuller than {FULL:g}", int((share > FULL).sum()), "masks"),
        Row("full", int((share == 1).sum()), "masks"),
        Row("of another shape than the image", misfits, "masks"),
    ]
    publish("Lesion masks of HAM10000", found, json)


if __name__ == "__main__":
    typer.run(main)
