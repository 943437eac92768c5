"""Pictures of any size with the structure of photographs, for the benchmarks that decode files."""

from __future__ import annotations

import io
import random
import zipfile
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image as Picture

from vitrial.data.phantoms import dermoscopy, fundus
from vitrial.data.phantoms.patient import generator, make_patient

HAM10000 = Path("../shared/data/ham10000")
PHANTOMS = {"dermoscopy": dermoscopy, "fundus": fundus}

Size = tuple[int, int]
"""Width and height in pixels."""


def photographs(size: Size, n: int, root: Path) -> dict[str, list[Picture.Image]]:
    """RGB pictures of a size by kind, n of each.

    The phantoms `dermoscopy` and `fundus`, drawn at this size; of real dermoscopy images, where
    there are any, a `mosaic`, which has their detail at every pixel, and one `enlarged`, with noise
    as of a sensor, which grows with the root of the light.

    Args:
        size: Width and height.
        n: Pictures of a kind.
        root: HAM10000's folder.
    """
    drawn = {name: [phantom(name, size, i) for i in range(n)] for name in PHANTOMS}
    if not (root / "images.zip").is_file():
        print(f"HAM10000 is not in {root}: only phantoms are decoded.")
        return drawn
    lesions = real(root)
    rng = np.random.default_rng(0)
    return drawn | {
        "mosaic": [mosaic(lesions[i:] + lesions[:i], size) for i in range(n)],
        "enlarged": [enlarged(lesions[i], size, rng) for i in range(n)],
    }


@cache
def real(root: Path) -> list[Picture.Image]:
    """Two hundred dermoscopy images, drawn from HAM10000."""
    with zipfile.ZipFile(root / "images.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        chosen = random.Random(0).sample(names, 200)
        return [Picture.open(io.BytesIO(archive.read(name))).convert("RGB") for name in chosen]


def phantom(task: str, size: Size, number: int) -> Picture.Image:
    """The middle of a square phantom."""
    draw: ModuleType = PHANTOMS[task]
    patient = make_patient(task, 0, number, draw.CLASSES, draw.FEMALE)
    random_numbers = generator(task, 0, number, "person"), generator(task, 0, number, "view", 1)
    side, (width, height) = max(size), size
    pixels = draw.draw(patient, *random_numbers, side).pixels
    top, left = (side - height) // 2, (side - width) // 2
    return Picture.fromarray(pixels[top : top + height, left : left + width].copy())


def mosaic(lesions: list[Picture.Image], size: Size) -> Picture.Image:
    """Small pictures side by side, from the top left."""
    whole, (width, height) = Picture.new("RGB", size), lesions[0].size
    places = [(x, y) for y in range(0, size[1], height) for x in range(0, size[0], width)]
    for i, place in enumerate(places):
        whole.paste(lesions[i % len(lesions)], place)
    return whole


def enlarged(lesion: Picture.Image, size: Size, rng: np.random.Generator) -> Picture.Image:
    """One small picture at a size, with noise."""
    light = np.asarray(lesion.resize(size, Picture.Resampling.BICUBIC), np.float32)
    noise = 0.4 * np.sqrt(light) * rng.standard_normal(light.shape, np.float32)
    return Picture.fromarray(np.rint(light + noise).clip(0, 255).astype(np.uint8))


def jpeg(picture: Picture.Image, quality: int = 90, subsampling: str = "4:2:0") -> bytes:
    """A picture as a JPEG file."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality, subsampling=subsampling)
    return content.getvalue()
