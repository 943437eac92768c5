"""The baseline of noise: a map that knows nothing must gain nothing over it, however fine it is."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from vitrial.evaluate.predict import CentralView
from vitrial.explain.measure import NOISE_DRAWS, TrainedModel, measure, noise_of
from vitrial.explain.methods import gradcam

SIDE, IMAGES = 32, 60


class Edges(nn.Module):
    """Surer of class 1 the more neighboring pixels differ: noise of one grain moves it most."""

    num_classes = 2

    def forward(self, images):
        across = images.diff(dim=3).abs().mean(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(across), 4 * across - 1], dim=1)


class SmoothImages:
    """Bright and dark blots, with a lesion in the middle, in place of a data set's."""

    def batches(self, size):
        random = np.random.default_rng(0)
        blots = torch.from_numpy(random.random((IMAGES, 1, 4, 4), dtype=np.float32))
        smooth = nn.functional.interpolate(blots, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
        pixels = (255 * smooth).to(torch.uint8).permute(0, 2, 3, 1)
        names = [f"{i}.png" for i in range(IMAGES)]
        yield pd.DataFrame({"image": names, "group": names, "label": "a"}), pixels

    def mask(self, row):
        mask = np.zeros((SIDE, SIDE), dtype=bool)
        mask[8:24, 8:24] = True
        return mask


@pytest.fixture
def gains(monkeypatch):
    """What a random map of one grid gains in deletion over noise of another, on average."""
    view = CentralView(SIDE, [0.5], [0.25], torch.device("cpu"))

    def gain(grid, other):
        def guess(model, images, target):
            generator = torch.Generator().manual_seed(grid)
            maps = torch.rand(len(images), grid, grid, generator=generator)
            return maps, model(images).detach()

        monkeypatch.setattr(gradcam, "maps", guess)
        trained = TrainedModel(
            Edges(), view, nullcontext, ["a", "b"], {"gradcam": (grid, grid)}, ""
        )
        of, less = (
            measure(trained, SmoothImages(), name, faithful=True)
            for name in ("gradcam", noise_of(other, other))
        )
        assert set(of["noise"]) == {noise_of(grid, grid)} <= set(trained.baselines(["gradcam"]))
        return (less["deletion"] - of["deletion"]).mean()

    return gain


@pytest.mark.parametrize("grid", [2, 4, 8, SIDE])
def test_a_random_map_gains_nothing_over_noise_of_its_own_grid(gains, grid):
    assert gains(grid, grid) == pytest.approx(0, abs=0.02)


def test_noise_of_another_grid_gains_or_loses_by_the_grid_alone(gains):
    coarse, fine = gains(4, SIDE), gains(SIDE, 4)
    assert coarse < -0.1
    assert fine > 0.1


def test_noise_is_averaged_over_several_draws_that_the_names_decide():
    view = CentralView(SIDE, [0.5], [0.25], torch.device("cpu"))
    trained = TrainedModel(Edges(), view, nullcontext, ["a", "b"], {}, "")
    once, again = (
        measure(trained, SmoothImages(), noise_of(4, 4), faithful=False) for _ in range(2)
    )
    columns = ["pointing", "energy", "iou", "entropy"]
    pd.testing.assert_frame_equal(once[columns], again[columns])
    hits = once["pointing"] * NOISE_DRAWS
    assert NOISE_DRAWS > 1
    np.testing.assert_allclose(hits, hits.round())
    assert hits.between(1, NOISE_DRAWS - 1).any(), "draws of one image differ"
