"""What a GPU does with a batch, done on the CPU and compared with what a CPU does.

Compiled, as on a GPU, it is compared in `test_augment` and `test_distort`, where there is a GPU.
"""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from vitrial.data.augment import augment_batch, draw_views
from vitrial.data.distort import distort_, draw_distortions
from vitrial.data.whole_batch import augment_whole, blurring, distort_whole, resampling
from vitrial.protocol import Augment, Jitter

STRONG = Jitter(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.5, p=0.8)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("side", "crop", "scale"), [(96, 64, (0.8, 1)), (64, 96, (0.05, 0.4))])
def test_the_views_are_those_of_single_images(
    channels: int, side: int, crop: int, scale: tuple[float, float]
) -> None:
    images = torch.randint(0, 256, (32, side, side, channels), generator=seeded(0)).byte()
    views = draw_views(Augment(crop=crop, scale=scale, jitter=STRONG), 32, side, seeded(1))
    expected = augment_batch(images, views, crop)
    torch.testing.assert_close(
        augment_whole(images, *views.drawn(), crop), expected, atol=5e-5, rtol=0
    )


@pytest.mark.parametrize(("length", "crop"), [(40, 17), (17, 40), (1, 8), (64, 64)])
@pytest.mark.parametrize("flip", [False, True])
def test_resampling_equals_torchvision(length: int, crop: int, flip: bool) -> None:
    start, side = 5, 80
    line = torch.rand(1, 1, side, generator=seeded(0))
    stretch = line[:, :, start : start + length]
    expected = tv.resize((stretch.flip(2) if flip else stretch), [1, crop], antialias=True)
    matrix = resampling(
        torch.tensor([start]), torch.tensor([length]), torch.tensor([flip]), side, crop
    )
    torch.testing.assert_close(matrix[0] @ line[0, 0], expected[0, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [5, 33, 64])
def test_the_distortions_are_those_of_single_images(channels: int, side: int) -> None:
    images = torch.rand(24, channels, side, side, generator=seeded(3))
    drawn = draw_distortions(24, 0.3, 0.7, (0.1, 2.0), 0.3, seeded(4))
    expected = distort_(images.clone(), drawn)
    torch.testing.assert_close(distort_whole(images, *drawn.drawn()), expected, atol=1e-6, rtol=0)


def test_no_blur_is_the_identity() -> None:
    assert torch.equal(blurring(torch.zeros(1), 9, 9, 9)[0], torch.eye(9))
