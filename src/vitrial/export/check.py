"""An exported model beside PyTorch's: whether it answers the same, and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from vitrial.compare.scores import logits_of
from vitrial.errors import VitrialError
from vitrial.export.exported import Exported

CLOSE = 1e-4
"""How far logits may be from PyTorch's: above what the order of sums in float32 leaves (1e-6 to
1e-5 for logits of size 10), and below what could change a probability's third digit."""
BATCH, ROUNDS = 32, 5

Answer = Callable[[np.ndarray], np.ndarray]
"""Pixels uint8 (n, side, side, channels) to logits (n, classes)."""


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes:
        images: Test images that were compared.
        difference: The largest difference of a logit from PyTorch's, both in float32.
        changed: Images whose predicted class is not that of the run's stored predictions, which may
            have been computed in bf16.
        images_per_second: Of the exported model; median over rounds that take turns.
        pytorch_images_per_second: Of PyTorch on the same device, a CPU.
        threads: That PyTorch used.
    """

    images: int
    difference: float
    changed: int
    images_per_second: float
    pytorch_images_per_second: float
    threads: int

    def sentence(self, name: str) -> str:
        """What was found of a format, for people."""
        changed = f"; {self.changed} predicted classes differ from the run's" * bool(self.changed)
        return (
            f"{name}: logits within {self.difference:.1e} of PyTorch's on {self.images} test "
            f"images{changed}; {self.images_per_second:.0f} images/s, PyTorch "
            f"{self.pytorch_images_per_second:.0f} (CPU, float32, batches of {BATCH})"
        )


def check(exported: Exported, name: str, answer: Answer) -> Check:
    """Compare an exported model with PyTorch's on test images of the study, and time both.

    Raises:
        VitrialError: Its logits differ by more than `CLOSE`.
    """
    names, pixels = exported.test_images

    def pytorch(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(exported.deployed(torch.from_numpy(images))[0])

    images = pixels.numpy()
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    expected, found = (
        np.concatenate([one(batch) for batch in batches]) for one in (pytorch, answer)
    )
    difference = float(np.abs(found - expected).max())
    if not difference <= CLOSE:  # NaN is not close either
        raise VitrialError(
            f"{name} answers otherwise than PyTorch: logits differ by up to {difference:.2g} on "
            f"{len(images)} test images, where {CLOSE:g} is allowed. Nothing was written; --to "
            "timm writes weights that PyTorch loads as they are."
        )
    stored = exported.predictions.set_index("image").loc[names]
    theirs, ours = _rates((answer, pytorch), batches[0])
    return Check(
        images=len(images),
        difference=difference,
        changed=int((found.argmax(axis=1) != logits_of(stored).argmax(axis=1)).sum()),
        images_per_second=theirs,
        pytorch_images_per_second=ours,
        threads=torch.get_num_threads(),
    )


def _rates(answers: tuple[Answer, Answer], batch: np.ndarray) -> list[float]:
    """Images per second of each, which take turns; the medians of `ROUNDS` rounds."""
    seconds = np.empty((ROUNDS, len(answers)))
    for turn in np.ndindex(seconds.shape):
        started = time.perf_counter()
        answers[turn[1]](batch)
        seconds[turn] = time.perf_counter() - started
    rates: list[float] = (len(batch) / np.median(seconds, axis=0)).tolist()
    return rates
