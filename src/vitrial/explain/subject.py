"""The images that are explained, as the models see them, with their lesion masks."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vitrial.data.augment import central_batch
from vitrial.data.cache import PixelCache
from vitrial.data.io.masks import SEPARATOR, read_mask
from vitrial.data.manifest import Reader
from vitrial.errors import VitrialError
from vitrial.protocol import digest


@dataclass(frozen=True)
class Subject:
    """Images to explain.

    Attributes:
        rows: Columns `image`, `label`, `group`, `row` (in the cache) and perhaps `mask`.
        cache: The pixels.
        reader: Of the data set, for the masks.
        crop: Side of the central part that the models see, in pixels.
        unread: What is wrong with masks that cannot be read; filled as they are met.
    """

    rows: pd.DataFrame
    cache: PixelCache
    reader: Reader
    crop: int
    unread: dict[str, str] = field(default_factory=dict)

    def batches(self, size: int) -> Iterator[tuple[pd.DataFrame, Tensor]]:
        """Some of the rows at a time, and their pixels, uint8 (n, height, width, channels)."""
        for start in range(0, len(self.rows), size):
            part = self.rows.iloc[start : start + size]
            yield part, self.pixels(part)

    def pixels(self, rows: pd.DataFrame) -> Tensor:
        """The images of some rows: uint8 (n, height, width, channels)."""
        return torch.from_numpy(self.cache.read(rows["row"].to_numpy(np.int64)))

    def central(self, pixels: Tensor) -> np.ndarray:
        """The part of images that the models see: uint8 (n, crop, crop, channels)."""
        return seen_part(pixels, self.crop)

    def mask(self, row: Mapping[Hashable, object]) -> np.ndarray | None:
        """The lesion on the part that the models see: bool (crop, crop); None without a mask.

        A mask of another size than its image is resized like it. One that cannot be read counts as
        none, and is listed in `unread`.
        """
        name = row.get("mask")
        if not isinstance(name, str) or not name:
            return None
        try:
            lesion = read_mask(self.reader, name, self.cache.shape[1])
        except VitrialError as error:
            self.unread[str(row["image"])] = str(error)
            return None
        whole = torch.from_numpy(lesion[None, :, :, None].astype(np.uint8))
        return np.asarray(central_batch(whole, self.crop)[0, 0] > 0)

    def fingerprint(self) -> str:
        """Changes with the images, their order, the crop and the masks' files."""
        masks = [name for name in self.rows.get("mask", []) if isinstance(name, str) and name]
        stamps = [[self._stamp(part) for part in name.split(SEPARATOR)] for name in masks]
        table = self.rows[["image", "label", "group", "row"]].to_numpy().tolist()
        return digest([self.cache.key, self.crop, table, masks, stamps])

    def _stamp(self, mask: str) -> str:
        try:
            return self.reader.stamp(mask)
        except OSError:  # absent: reported when it is read
            return "absent"


def seen_part(pixels: Tensor, crop: int) -> np.ndarray:
    """The central part of images (n, height, width, channels): uint8 (n, crop, crop, channels)."""
    seen = central_batch(pixels, crop).mul(255).round()
    return np.asarray(seen.to(torch.uint8).permute(0, 2, 3, 1))
