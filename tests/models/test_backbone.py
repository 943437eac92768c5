"""Backbones of every family: what can be predicted with, and what is refused before training."""

import re

import pytest
import timm
import torch
from timm.models import list_modules

from vitrial.evaluate.predict import CentralView, predict
from vitrial.models.backbone import build_backbone, pretrained_cfg
from vitrial.models.fits import refused_size

SMALL = re.compile(
    "test_|atto|femto|pico|nano|xxs|xxt|tiny|_t0|_xs|_s0|_b0|_m0|_m1|small|_050|18|_s$|26|_t$|50"
)
BIGGEST = 30_000_000
"""Parameters of what can be built in reasonable time."""


def small_one(module):
    """A small architecture of one of timm's modules, by its name."""
    names = timm.list_models(module=module)
    return min(names, key=lambda name: (SMALL.search(name) is None, len(name), name))


class TwoImages(torch.utils.data.Dataset):
    """Stands for the cached images of a split."""

    def __init__(self, side):
        generator = torch.Generator().manual_seed(0)
        self.pixels = torch.randint(0, 256, (2, side, side, 3), generator=generator).byte()

    def __len__(self):
        return 2

    def __getitem__(self, positions):
        return self.pixels[positions], torch.zeros(len(positions), dtype=torch.int64)


def outputs(name, side):
    """What `predict` says of two images, and the model's own answer."""
    torch.manual_seed(0)
    model = build_backbone(name, 3, 3, side).eval()
    view = CentralView(side, (0.5,) * 3, (0.2,) * 3, torch.device("cpu"))
    images = TwoImages(side)
    logits, features = predict(model, images, view, lambda: torch.autocast("cpu", enabled=False),
                               batch_size=2, workers=0)  # fmt: skip
    with torch.inference_mode():
        whole = model(view(images.pixels))
    return torch.from_numpy(logits), features, whole


@pytest.mark.parametrize("name", ["crossvit_tiny_240", "coat_tiny"])
def test_backbones_with_several_branches_answer_as_a_whole(name):
    side = 240 if "crossvit" in name else 64
    logits, features, whole = outputs(name, side)
    torch.testing.assert_close(logits, whole)
    assert features.shape[0] == 2
    assert features.ndim == 2


@pytest.mark.parametrize(
    ("name", "side", "sentence"),
    [
        ("crossvit_tiny_240", 224, "takes no images of augment.crop 224 pixels: 240 would do"),
        ("halonet26t", 224, "takes no images of augment.crop 224 pixels: 252 would do"),
        ("xcit_nano_12_p16_224", 40, "takes no images of augment.crop 40 pixels: 32 or 48 would"),
    ],
)
def test_a_side_that_an_architecture_cannot_take_is_refused(name, side, sentence):
    assert sentence in refused_size(name, 3, side, "augment.crop")


@pytest.mark.parametrize("name", ["resnet10t", "deit_tiny_patch16_224", "coat_tiny"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_can_be_trained_is_not_refused_and_no_random_number_is_drawn(name, channels):
    state = torch.get_rng_state()
    assert refused_size(name, channels, 64, "augment.crop") is None
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # timm's own
@pytest.mark.parametrize("module", list_modules())
def test_a_family_answers_or_is_refused_before_training(module):
    name = small_one(module)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in timm.create_model(name, num_classes=3).parameters())
    if parameters > BIGGEST:
        pytest.skip(f"{name} has {parameters / 1e6:.0f} million parameters")
    side = 64
    if refused_size(name, 3, side, "augment.crop"):
        side = pretrained_cfg(name).input_size[-1]
        assert refused_size(name, 3, side, "augment.crop") is None
    logits, features, whole = outputs(name, side)
    torch.testing.assert_close(logits, whole, rtol=1e-3, atol=1e-4)
    assert features.ndim == 2
