"""What it costs to verify the pixel cache whenever it is read.

Batches of random images are read with and without checksums in turn, from a cache that lies in the
system's memory: from a disk, reading itself takes longer and verifying does not. Beside it the
checksums that there are, and a training step, for the share of an epoch.

    python benchmarks/cache.py [--quick] [--json PATH]
"""

from __future__ import annotations

import tempfile
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from table import Row, median_seconds, publish
from timm import create_model
from xxhash import xxh3_64_intdigest

from vitrial.data.cache import PixelCache
from vitrial.data.cache.format import CHECKSUM, PIXELS, seal, shard_path, write_shard

SIDE, BATCH, STEP = 256, 32, 8
"""Side of an image in pixels; images read at once; images of a training step."""
TARGET = 0.02
"""Share of an epoch that verifying may take."""


def written_cache(folder: Path, n: int) -> PixelCache:
    """A cache of n images of noise."""
    shape, name = (SIDE, SIDE, 3), [str(row) for row in range(n)]
    pixels = np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)
    shard_path(folder, 0).mkdir()
    checksums = write_shard(shard_path(folder, 0) / PIXELS, pixels, shape)
    index = pd.DataFrame({"image": name, "sha256": name, "bytes": 0, CHECKSUM: checksums})
    index = index.assign(width=SIDE, height=SIDE, mode="RGB").astype({CHECKSUM: np.uint64})
    seal(folder, index, [n], shape, {})
    return PixelCache(folder)


def training_seconds() -> float:
    """An image's share of a step of the smallest backbone of the paper, DeiT-S, at 224 pixels."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = create_model("deit_small_patch16_224", num_classes=7).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    batch = torch.rand(STEP, 3, 224, 224, device=device)

    def step() -> None:
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return median_seconds({"step": step}, 3)["step"] / STEP


def main(
    images: Annotated[int, typer.Option(help="Images in the cache.")] = 4000,
    rounds: Annotated[int, typer.Option(help="Passes over it that are timed.")] = 7,
    quick: Annotated[bool, typer.Option(help="End within a minute.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Compare reading with checksums, without, and with other checksums."""
    images, rounds = (500, 5) if quick else (images, rounds)
    with tempfile.TemporaryDirectory() as folder:
        cache = written_cache(Path(folder), images)
        order = np.random.default_rng(1).permutation(images)
        batches = np.split(order, range(BATCH, images, BATCH))
        one = cache.read(np.arange(BATCH))

        def verified() -> None:
            for rows in batches:
                cache.read(rows)

        def unverified() -> None:
            for rows in batches:
                np.asarray(np.load(shard_path(Path(folder), 0) / PIXELS, mmap_mode="r")[rows])

        reading = median_seconds({"verified": verified, "unverified": unverified}, rounds)
        digests = median_seconds(
            {
                "xxh3": lambda: [xxh3_64_intdigest(image.data) for image in one],
                "crc32": lambda: [zlib.crc32(image.data) for image in one],
                "blake2b": lambda: [blake2b(image.data).digest() for image in one],
            },
            rounds,
        )
    each = {name: seconds / images * 1e6 for name, seconds in reading.items()}
    rows = [
        Row("reading, not verified", each["unverified"], "µs/image"),
        Row("reading, verified", each["verified"], "µs/image", "reading, not verified",
            each["verified"] / each["unverified"]),
    ]  # fmt: skip
    for name, seconds in digests.items():
        rows.append(
            Row(f"{name} alone", seconds / BATCH * 1e6, "µs/image", "xxh3 alone",
                seconds / digests["xxh3"])
        )  # fmt: skip
    step = training_seconds() * 1e6
    share = (each["verified"] - each["unverified"]) / (step + each["verified"])
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    rows += [
        Row(f"training DeiT-S, {where}", step, "µs/image"),
        Row("verifying, share of an epoch", share, "", "training and reading", share, TARGET,
            share <= TARGET),
    ]  # fmt: skip
    publish(f"Reading a cache of {images:,} images of {SIDE} px, batches of {BATCH}", rows, json)


if __name__ == "__main__":
    typer.run(main)
