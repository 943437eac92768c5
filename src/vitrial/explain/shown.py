"""The images of Figure 1 with their maps, as they lie on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitrial.atomic import replacing


@dataclass(frozen=True)
class ShownMap:
    """What one model makes of an image.

    Attributes:
        arm: Backbone and initialization, such as `resnet50 / random`.
        method: Name of `vitrial.explain.methods.METHODS`.
        answer: The class that the model gives.
        probability: Of that class, in [0, 1].
        values: float32 (h, w), nonnegative, as coarse as the method gives it; it covers the image.
        heads: float32 (heads, h, w) for a method that looks through heads, else None.
    """

    arm: str
    method: str
    answer: str
    probability: float
    values: np.ndarray
    heads: np.ndarray | None


@dataclass(frozen=True)
class Shown:
    """An image of Figure 1.

    Attributes:
        image: Its path in the data set.
        label: Its class; empty where it is unknown.
        pixels: uint8 (crop, crop, 1 or 3), the part of the image that the models see.
        mask: bool (crop, crop), true on the lesion; None without a mask.
        maps: Of each model and method, in the order of the table.
    """

    image: str
    label: str
    pixels: np.ndarray
    mask: np.ndarray | None
    maps: list[ShownMap]


def write_shown(shown: list[Shown], path: Path) -> None:
    """Write images and maps as one .npz, atomically."""
    arrays: dict[str, np.ndarray] = {}
    for i, image in enumerate(shown):
        texts = [image.image, image.label]
        arrays[f"{i}.pixels"] = image.pixels
        if image.mask is not None:
            arrays[f"{i}.mask"] = image.mask
        for k, found in enumerate(image.maps):
            arrays[f"{i}.{k}.values"] = found.values
            if found.heads is not None:
                arrays[f"{i}.{k}.heads"] = found.heads
            texts += [found.arm, found.method, found.answer, repr(found.probability)]
        arrays[f"{i}.texts"] = np.array(texts)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_shown(path: Path) -> list[Shown]:
    """Read what `write_shown` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        shown: list[Shown] = []
        while f"{len(shown)}.texts" in arrays:
            i = len(shown)
            image, label, *texts = arrays[f"{i}.texts"].tolist()
            maps = []
            for k in range(len(texts) // 4):
                arm, method, answer, probability = texts[4 * k : 4 * k + 4]
                heads = arrays.get(f"{i}.{k}.heads")
                values = arrays[f"{i}.{k}.values"]
                maps.append(ShownMap(arm, method, answer, float(probability), values, heads))
            mask = arrays.get(f"{i}.mask")
            shown.append(Shown(image, label, arrays[f"{i}.pixels"], mask, maps))
        return shown


def top_mass(values: np.ndarray, mass: float = 0.5) -> np.ndarray:
    """The smallest set of patches that holds a share of a map's mass, as DINO shows attention.

    Args:
        values: (h, w), nonnegative.
        mass: The share, in [0, 1].

    Returns:
        bool (h, w). Of equal patches the first ones are taken. All of a map of zeros.
    """
    if not values.any():
        return np.ones(values.shape, dtype=bool)
    order = np.argsort(-values, axis=None, kind="stable")
    held = np.cumsum(values.ravel()[order], dtype=np.float64)
    # Rounding in the sum must not ask for one more patch.
    count = np.searchsorted(held, mass * held[-1] * (1 - 1e-6)) + 1 if mass > 0 else 0
    kept = np.zeros(values.size, dtype=bool)
    kept[order[:count]] = True
    return kept.reshape(values.shape)
