"""One method on one model, over many images: how right, how faithful, how sharp, how dear."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vitrial.evaluate.predict import CentralView
from vitrial.explanation.faithfulness import deletion_insertion
from vitrial.explanation.localisation import centre_blob, localisation, random_grid
from vitrial.explanation.methods import Explanation, explain
from vitrial.explanation.sharpness import detail, entropy
from vitrial.explanation.subject import Subject
from vitrial.seeds import seed_of

BASELINES = ("random", "centre")
"""Maps that know nothing of the model: noise as coarse as its own map, and a blob in the middle."""
BATCH = 32


@dataclass(frozen=True)
class TrainedModel:
    """A trained model, ready to be asked what it looks at.

    Attributes:
        model: timm's, in evaluation mode.
        view: From cached pixels to its input.
        autocast: Its precision.
        classes: Class names.
        methods: Names of those of `METHODS` that fit it.
        headline: The one that Figure 1 shows.
        grid: (h, w) of its maps, which random ones are as coarse as.
    """

    model: Any
    view: CentralView
    autocast: Callable[[], AbstractContextManager[object]]
    classes: list[str]
    methods: list[str]
    headline: str
    grid: tuple[int, int]

    def maps(self, pixels: Tensor, method: str) -> Explanation:
        """Maps of the class that is predicted, for uint8 (n, height, width, channels)."""
        with self.autocast():
            return explain(self.model, self.view(pixels), method)


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
        method: Of `METHODS` or `BASELINES`.
        faithful: Whether to measure deletion and insertion, which ask the model 20 times an image.
        on_batch: Told how many images are done more.

    Returns:
        A row an image: image, group, label, answer, probability, lesion, pointing, energy,
        precision, iou, deletion, insertion, entropy, detail, milliseconds. What was not measured
        is NaN.
    """
    tables = []
    for part, pixels in subject.batches(BATCH):
        images = trained.view(pixels)
        started = time.perf_counter()
        with trained.autocast():
            if method in BASELINES:
                found = _baseline(method, trained, part["image"].tolist(), images)
            else:
                found = explain(trained.model, images, method, batch_size=BATCH)
        milliseconds = (time.perf_counter() - started) * 1000 / len(part)
        heat = found.upsampled(*images.shape[2:])
        table = part[["image", "group", "label"]].reset_index(drop=True)
        table[["answer", "probability"]] = found.answers(trained.classes)
        deletion = insertion = np.full(len(part), math.nan, dtype=np.float32)
        if faithful:
            deletion, insertion = deletion_insertion(
                trained.model, images, heat, found.target, trained.autocast
            )
        masks = [subject.mask(row) for row in part.to_dict("records")]
        located = pd.DataFrame([_located(h, mask) for h, mask in zip(heat, masks, strict=True)])
        tables.append(
            pd.concat([table, located], axis=1).assign(
                deletion=deletion,
                insertion=insertion,
                entropy=[entropy(h) for h in heat],
                detail=[detail(h) for h in heat],
                milliseconds=milliseconds,
            )
        )
        on_batch(len(part))
    return pd.concat(tables, ignore_index=True)


def _located(heat: np.ndarray, mask: np.ndarray | None) -> dict[str, float]:
    if mask is None:
        nothing = dict.fromkeys(("pointing", "energy", "precision", "iou"), math.nan)
        return {"lesion": math.nan, **nothing}
    return {"lesion": float(mask.mean()), **localisation(heat, mask)}


def _baseline(method: str, trained: TrainedModel, names: list[str], images: Tensor) -> Explanation:
    with torch.inference_mode():
        logits = trained.model(images).float().cpu().numpy()
    if method == "random":
        noise = [random_grid(seed_of("random map", name), *trained.grid) for name in names]
        maps = np.stack(noise)
    else:
        maps = np.repeat(centre_blob(trained.view.crop)[None], len(names), axis=0)
    target = logits.argmax(axis=1)
    return Explanation(method, maps.astype(np.float32), None, target, logits)
