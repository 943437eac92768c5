"""What is exported: the model of a finished stage, in float32, with what its user has to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vitrial.compare.scores import logits_of
from vitrial.compare.temperature import fit_temperature
from vitrial.errors import VitrialError
from vitrial.evaluate.predict import CentralView
from vitrial.explain.images import drawn_images, study_data
from vitrial.models.backbone import build_backbone
from vitrial.store.facts import Entry
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Result, Stage
from vitrial.store.study import Study

CHECKED = 256
"""Test images on which an exported model is compared with PyTorch's, or as many as there are."""


@dataclass(frozen=True)
class Run:
    """Which run of a study is exported.

    Attributes:
        study: The study.
        entry: The run as the study lists it.
        why: Why this repetition, in a sentence.
        root: Where the data lie now, in place of the protocol's data.root.
        cache: Where pixel caches lie.
    """

    study: Study
    entry: Entry
    why: str
    root: Path | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class Exported:
    """A finished stage, ready to be exported.

    Attributes:
        folder: The stage's.
        of: Its run; None of a pretraining, which has features and no classes.
    """

    folder: RunFolder
    of: Run | None = field(default=None)

    @cached_property
    def stage(self) -> Stage:
        """What the stage is."""
        return self.folder.stage()

    @cached_property
    def result(self) -> Result:
        """What it gave."""
        return self.folder.result()

    @cached_property
    def model(self) -> nn.Module:
        """Timm's model with the weights that were kept, in float32 on the CPU, in evaluation."""
        classes = len(self.result.classes)
        crop, channels = self.stage.augment.crop, self.stage.image.channels
        model = build_backbone(self.stage.arm.model, classes, channels, crop)
        model.load_state_dict(load_file(self.folder.weights()))
        return model.eval()

    @property
    def run(self) -> Run:
        """Its run.

        Raises:
            VitrialError: It is a pretraining.
        """
        if self.of is None:
            raise VitrialError(
                f"{self.folder.path} is a pretraining, which has no classes: it can be exported "
                "to timm alone, by --to timm."
            )
        return self.of

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The run's stored predictions of validation and test images."""
        return self.folder.predictions()

    @cached_property
    def temperature(self) -> float:
        """The number that logits are divided by before the softmax, fitted on validation."""
        val = self.predictions[self.predictions["split"] == "val"]
        return fit_temperature(val["target"].to_numpy(dtype=np.int64), logits_of(val))

    @cached_property
    def deployed(self) -> Deployed:
        """The model from cached pixels to probabilities."""
        normalization = self.result.normalization
        cpu = torch.device("cpu")
        view = CentralView(self.stage.augment.crop, normalization.mean, normalization.std, cpu)
        return Deployed(self.model, view, self.temperature).eval()

    @cached_property
    def test_images(self) -> tuple[list[str], Tensor]:
        """Test images of the study: their names, and pixels uint8 (n, side, side, channels).

        Raises:
            VitrialError: The data are not the study's any more, or cannot be read.
        """
        run = self.run
        data = study_data(run.study, run.root, run.cache)
        subject = drawn_images(run.study, data, CHECKED, run.root)
        return subject.rows["image"].tolist(), subject.pixels(subject.rows)


class Deployed(nn.Module):
    """From pixels as they are cached to logits and calibrated probabilities.

    Args:
        model: timm's.
        view: Central crop and normalization.
        temperature: Divides the logits before the softmax (Guo et al., ICML 2017).
    """

    def __init__(self, model: nn.Module, view: CentralView, temperature: float) -> None:
        super().__init__()
        self.model, self.view, self.temperature = model, view, temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 (n, side, side, channels) to logits and probabilities, both (n, classes)."""
        logits = self.model(self.view(images))
        return logits, (logits / self.temperature).softmax(dim=1)
