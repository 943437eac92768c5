from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vitrial.models.backbone import build_backbone
from vitrial.models.fits import refused_views, sizes_taken, takes
from vitrial.protocol.file import ProtocolError, load_protocol
from vitrial.train.selfsupervised.methods.byol.recipe import Byol
from vitrial.train.selfsupervised.methods.dino.recipe import Dino

# Asked of the real models, on a CPU.
SIZES = [
    ("resnet10t", 33),
    ("xcit_nano_12_p16_224", 40),
    ("xcit_nano_12_p16_224", 48),
    ("swin_tiny_patch4_window7_224", 40),
    ("swin_tiny_patch4_window7_224", 64),
    ("gcvit_xxtiny", 40),
]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_the_meta_device_says_of_a_size_what_the_model_does(name: str, size: int) -> None:
    try:
        build_backbone(name, 2, 1, size).eval()(torch.zeros(1, 1, size, size))
        works = True
    except (AssertionError, RuntimeError, ValueError):
        works = False
    assert takes(name, 1, size) == works


def test_the_nearest_sizes_are_taken_and_lie_around_what_was_asked() -> None:
    assert sizes_taken("xcit_nano_12_p16_224", 3, 40) == [32, 48]
    assert sizes_taken("bat_resnext26ts", 3, 224)[-1] == 256


def test_views_are_checked_with_and_without_stochastic_depth() -> None:
    small = Dino(local_views={"size": 32})
    assert refused_views("vit_tiny_patch16_224", 3, 64, small) is None
    assert "set drop_path to 0" in str(refused_views("vgg11", 3, 64, Byol(drop_path=0.1)))
    assert refused_views("vgg11", 3, 64, Byol()) is None
    assert "cannot take views of 32 pixels" in str(refused_views("convit_tiny", 3, 64, small))
    alone = Dino(local_views={"count": 0})
    assert refused_views("convit_tiny", 3, 64, alone) is None


PROTOCOL = """\
name: trial
data: {source: phantom}
augment: {crop: 40}
arms:
  - backbone: resnet10t
  - {backbone: xcit_nano_12_p16_224, initialization: random+dino}
endpoint: accuracy
dino: {local_views: {size: 32}}
"""


def refusal(folder: Path, text: str) -> str:
    (folder / "trial.yaml").write_text(text)
    with pytest.raises(ProtocolError) as caught:
        load_protocol(folder / "trial.yaml")
    return str(caught.value)


def test_the_check_of_a_protocol_builds_its_backbones(tmp_path: Path) -> None:
    assert refusal(tmp_path, PROTOCOL).splitlines()[1:] == [
        "  line 6: arms[1].backbone: xcit_nano_12_p16_224 takes no images of augment.crop 40 "
        "pixels: 32 or 48 would do"
    ]
    load_protocol(tmp_path / "trial.yaml", build=False)
    (tmp_path / "trial.yaml").write_text(PROTOCOL.replace("crop: 40", "crop: 48"))
    load_protocol(tmp_path / "trial.yaml")


def test_it_is_said_together_with_other_faults(tmp_path: Path) -> None:
    said = refusal(tmp_path, PROTOCOL.replace("endpoint", "endpont"))
    assert "takes no images" in said
    assert "did you mean endpoint?" in said


def test_views_of_self_supervision_are_checked(tmp_path: Path) -> None:
    text = PROTOCOL.replace("crop: 40", "crop: 64").replace("size: 32", "size: 40")
    text = text.replace("xcit_nano_12_p16_224", "convit_tiny")
    assert "cannot take views of 40 pixels beside 64" in refusal(tmp_path, text)
