"""A finished run's model, as it was when it predicted the test images."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from vitrial.errors import VitrialError
from vitrial.evaluate.predict import CentralView
from vitrial.explain.maps import fitting_methods
from vitrial.explain.measure import TrainedModel
from vitrial.models.backbone import build_backbone
from vitrial.seeds import seed_of
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Result, Stage
from vitrial.train.launch import launch

HEADLINE = ("attention", "gradcam")
"""The methods that Figure 1 shows: the first that fits."""


def load_model(folder: Path | str) -> TrainedModel:
    """Load the model of a run, with the view of images that it was trained for.

    Args:
        folder: The run's, such as `studies/demo/runs/resnet10t-random-1-0123456789ab`.

    Raises:
        VitrialError: The folder holds no finished run, or a damaged one.
    """
    stage = RunFolder(Path(folder))
    if not stage.is_finished:
        raise VitrialError(f"{folder} is not the folder of a finished run: `vitrial status` helps.")
    run, result = stage.stage(), stage.result()
    if run.kind != "finetune":
        raise VitrialError(f"{folder} is of a pretraining, which answers nothing: name a run's.")
    fabric = launch(run.recipe.precision)
    crop, channels, normalization = run.augment.crop, run.image.channels, result.normalization
    view = CentralView(crop, normalization.mean, normalization.std, fabric.device)
    model = _build(run, result)
    model.load_state_dict(load_file(stage.weights()))
    # As in training: the layout that convolutions are fastest in.
    model = model.to(memory_format=torch.channels_last).to(fabric.device).eval()
    blank = torch.zeros(1, crop, crop, channels, dtype=torch.uint8)
    fitting = fitting_methods(model, view(blank))
    headline = next(method for method in (*HEADLINE, *fitting) if method in fitting)
    return TrainedModel(model, view, fabric.autocast, list(result.classes), fitting, headline)


def random_model(folder: Path) -> nn.Module:
    """The architecture of a run with random weights, the same at every call."""
    run, result = RunFolder(folder).stage(), RunFolder(folder).result()
    torch.manual_seed(seed_of(run.seed, "sanity"))
    return _build(run, result).eval()


def _build(run: Stage, result: Result) -> nn.Module:
    classes, channels, crop = len(result.classes), run.image.channels, run.augment.crop
    return build_backbone(run.arm.model, classes, channels, crop)
