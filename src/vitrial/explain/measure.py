"""One method on one model, over many images: localization, faithfulness, resolution, cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vitrial.evaluate.predict import CentralView
from vitrial.explain.maps import Explanation, explain_images
from vitrial.explain.measures.faithfulness import deletion_insertion
from vitrial.explain.measures.localization import center_blob, localization, random_grid
from vitrial.explain.measures.sharpness import detail, entropy
from vitrial.explain.methods import METHODS
from vitrial.explain.subject import Subject
from vitrial.seeds import seed_of

CENTER = "center"
"""A blob in the middle of every image, which knows nothing of the model."""
NOISE = "random"
"""How the names of maps of noise begin; `random 8x8` is as coarse as a map of 8 x 8."""
NOISE_DRAWS = 4
"""Maps of noise for each image, over which their measures are averaged."""
BATCH = 32


@dataclass(frozen=True)
class TrainedModel:
    """A trained model, ready to be asked what it looks at.

    Attributes:
        model: timm's, in evaluation mode.
        view: From cached pixels to its input.
        autocast: Its precision.
        classes: Class names.
        methods: Those of `METHODS` that fit it, and (h, w) of their maps.
        headline: The one that Figure 1 shows.
    """

    model: Any
    view: CentralView
    autocast: Callable[[], AbstractContextManager[object]]
    classes: list[str]
    methods: dict[str, tuple[int, int]]
    headline: str

    def maps(self, pixels: Tensor, method: str) -> Explanation:
        """Maps of the class that is predicted, for uint8 (n, height, width, channels)."""
        with self.autocast():
            return explain_images(self.model, self.view(pixels), method)

    def baselines(self, methods: Iterable[str]) -> list[str]:
        """Maps that know nothing of the model: noise as coarse as each method's map, and a blob.

        How coarse noise is decides by itself what deletion and insertion make of it.
        """
        return [*dict.fromkeys(noise_of(*self.methods[method]) for method in methods), CENTER]


def noise_of(height: int, width: int) -> str:
    """The name of the baseline of maps of this size: `random 8x8`."""
    return f"{NOISE} {height}x{width}"


def measure(
    trained: TrainedModel,
    subject: Subject,
    method: str,
    faithful: bool,
    on_batch: Callable[[int], None] = lambda images: None,
) -> pd.DataFrame:
    """Measure a method, or a baseline, on every image.

    Args:
        trained: The model.
        subject: The images.
        method: Of `METHODS` or the model's baselines.
        faithful: Whether to measure deletion and insertion, which ask the model 20 times an image.
        on_batch: Told how many images are done more.

    Returns:
        A row per image: image, group, label, answer, probability, `noise` (the baseline that is as
        coarse as the map, empty for baselines), lesion, pointing, energy, precision, iou, deletion,
        insertion, entropy, detail, milliseconds. What was not measured is NaN; of noise it is the
        mean over `NOISE_DRAWS` maps.
    """
    tables = []
    for part, pixels in subject.batches(BATCH):
        images = trained.view(pixels)
        masks = [subject.mask(row) for row in part.to_dict("records")]
        started = time.perf_counter()
        drawn = list(_maps(method, trained, part["image"].tolist(), images))
        milliseconds = (time.perf_counter() - started) * 1000 / len(part)
        table = part[["image", "group", "label"]].reset_index(drop=True)
        table[["answer", "probability"]] = drawn[0].answers(trained.classes)
        table["noise"] = noise_of(*drawn[0].values.shape[1:]) if method in METHODS.names() else ""
        scores = pd.concat(_scores(found, trained, images, masks, faithful) for found in drawn)
        means = scores.groupby(level=0).mean()
        tables.append(pd.concat([table, means], axis=1).assign(milliseconds=milliseconds))
        on_batch(len(part))
    return pd.concat(tables, ignore_index=True)


def _maps(
    method: str, trained: TrainedModel, names: list[str], images: Tensor
) -> Iterator[Explanation]:
    """A method's maps, or as many maps of a baseline as are averaged over."""
    if method in METHODS.names():
        with trained.autocast():
            yield explain_images(trained.model, images, method, batch_size=BATCH)
        return
    with trained.autocast(), torch.inference_mode():
        logits = trained.model(images).float().cpu().numpy()
    for maps in _baseline(method, trained.view.crop, names):
        yield Explanation(method, maps.astype(np.float32), None, logits.argmax(axis=1), logits)


def _baseline(method: str, crop: int, names: list[str]) -> Iterator[np.ndarray]:
    if method == CENTER:
        yield np.repeat(center_blob(crop)[None], len(names), axis=0)
        return
    height, width = map(int, method.removeprefix(f"{NOISE} ").split("x"))
    for draw in range(NOISE_DRAWS):
        seeds = [seed_of("random map", name, draw) for name in names]
        yield np.stack([random_grid(seed, height, width) for seed in seeds])


def _scores(
    found: Explanation,
    trained: TrainedModel,
    images: Tensor,
    masks: list[np.ndarray | None],
    faithful: bool,
) -> pd.DataFrame:
    """What is measured of one map of each image."""
    heat = found.upsampled(*images.shape[2:])
    deletion = insertion = np.full(len(heat), math.nan, dtype=np.float32)
    if faithful:
        deletion, insertion = deletion_insertion(
            trained.model, images, heat, found.target, trained.autocast
        )
    located = pd.DataFrame([_located(h, mask) for h, mask in zip(heat, masks, strict=True)])
    return located.assign(
        deletion=deletion,
        insertion=insertion,
        entropy=[entropy(h) for h in heat],
        detail=[detail(h) for h in heat],
    )


def _located(heat: np.ndarray, mask: np.ndarray | None) -> dict[str, float]:
    if mask is None:
        nothing = dict.fromkeys(("pointing", "energy", "precision", "iou"), math.nan)
        return {"lesion": math.nan, **nothing}
    return {"lesion": float(mask.mean()), **localization(heat, mask)}
