from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as tv

from vitrial.data.augment import Views, augment_batch, central_batch, draw_crops, draw_views
from vitrial.protocol import Augment, Jitter

STRONG = Jitter(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.5, p=0.8)
ADJUST = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation, tv.adjust_hue)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(n: int, side: int, channels: int = 3, seed: int = 0) -> Tensor:
    """Noise, and smooth colors, where neighboring hues and gray pixels show other mistakes."""
    noise = torch.randint(0, 256, (n, side, side, channels), generator=seeded(seed))
    blur = torch.randint(0, 256, (n, channels, 3, 3), generator=seeded(seed)).float()
    smooth = torch.nn.functional.interpolate(blur, (side, side), mode="bilinear")
    noise[::2] = smooth[::2].permute(0, 2, 3, 1).long()
    noise[:, :4] = noise[:, :4, :, :1]
    return noise.to(torch.uint8)


def reference(image: Tensor, views: Views, i: int, crop: int) -> Tensor:
    """One view by torchvision's functions, on a float image."""
    view = tv.to_dtype(image.permute(2, 0, 1), torch.float32, scale=True)
    view = tv.resized_crop(view, *views.crops[i].tolist(), [crop, crop], antialias=True)
    vertical, horizontal = views.flips[i].tolist()
    view = tv.vertical_flip(view) if vertical else view
    view = tv.horizontal_flip(view) if horizontal else view
    for k in views.order[i].tolist():
        view = ADJUST[k](view, views.factors[i, k].item())
    return view


def one(views: Views, i: int) -> Views:
    return views[i : i + 1]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("side", "crop", "scale"), [(96, 64, (0.8, 1.2)), (64, 96, (0.05, 0.4))])
def test_equals_torchvision(
    channels: int, side: int, crop: int, scale: tuple[float, float]
) -> None:
    images = random_images(48, side, channels)
    views = draw_views(Augment(crop=crop, scale=scale, jitter=STRONG), 48, side, seeded(1))
    expected = torch.stack([reference(image, views, i, crop) for i, image in enumerate(images)])
    torch.testing.assert_close(augment_batch(images, views, crop), expected, atol=1e-5, rtol=0)


def test_pure_colors_turn_into_each_other() -> None:
    colors = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128], [255, 255, 0]])
    images = colors.to(torch.uint8)[:, None, None].expand(-1, 16, 16, -1)
    third = torch.tensor([1, 1, 1, 1 / 3]).expand(5, 4)
    order = torch.arange(4).expand(5, 4)
    whole = torch.tensor([0, 0, 16, 16]).expand(5, 4)
    views = Views(whole, torch.zeros(5, 2, dtype=torch.bool), third, order)
    turned = augment_batch(images, views, 16)[:, :, 0, 0] * 255
    expected = [[0, 255, 0], [0, 0, 255], [255, 0, 0], [128, 128, 128], [0, 255, 255]]
    torch.testing.assert_close(turned, torch.tensor(expected).float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_output_format(channels: int) -> None:
    images = random_images(4, 40, channels)
    views = draw_views(Augment(crop=32), 4, 40, seeded(0))
    for batch in (augment_batch(images, views, 32), central_batch(images, 32)):
        assert batch.shape == (4, channels, 32, 32)
        assert batch.dtype == torch.float32
        assert batch.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("side", "crop"), [(40, 32), (41, 32), (32, 32)])
def test_central_crop_equals_torchvision(side: int, crop: int) -> None:
    images = random_images(3, side)
    expected = tv.center_crop(images.permute(0, 3, 1, 2), [crop, crop])
    assert torch.equal(central_batch(images, crop), expected / 255)


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_stay_within_bounds(value: int) -> None:
    images = torch.full((16, 50, 50, 3), value, dtype=torch.uint8)
    batch = augment_batch(images, draw_views(Augment(crop=33), 16, 50, seeded(3)), 33)
    assert batch.min() >= 0
    assert batch.max() <= 1


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(1, 6),
    side=st.integers(32, 64),
    crop=st.integers(32, 64),
    channels=st.sampled_from([1, 3]),
)
def test_views_are_reproducible_and_independent(
    seed: int, n: int, side: int, crop: int, channels: int
) -> None:
    images = random_images(n, side, channels, seed)
    strong = Augment(crop=crop, jitter=STRONG)
    views = draw_views(strong, n, side, seeded(seed))
    batch = augment_batch(images, views, crop)
    assert batch.min() >= 0
    assert batch.max() <= 1

    again = draw_views(strong, n, side, seeded(seed))
    assert torch.equal(augment_batch(images, again, crop), batch)
    for i in range(n):
        assert torch.equal(augment_batch(images[i : i + 1], one(views, i), crop)[0], batch[i])


def test_threads_change_nothing() -> None:
    images = random_images(8, 256)
    views = draw_views(Augment(jitter=STRONG), 8, 256, seeded(4))
    threads = torch.get_num_threads()
    batches = []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            batches.append(augment_batch(images, views, 224))
            assert torch.get_num_threads() == n
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(batches[0], batches[1])
    assert torch.equal(batches[0], batches[2])


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    side=st.integers(1, 512),
    scale=st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 4)).map(sorted),
    ratio=st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)).map(sorted),
)
def test_crops_lie_inside_the_image(
    seed: int, side: int, scale: list[float], ratio: list[float]
) -> None:
    crops = draw_crops(50, side, (scale[0], scale[1]), (ratio[0], ratio[1]), seeded(seed))
    top, left, height, width = crops.unbind(1)
    assert (crops >= 0).all()
    assert (height > 0).all()
    assert (width > 0).all()
    assert (top + height <= side).all()
    assert (left + width <= side).all()


@pytest.mark.parametrize("scale", [(0.8, 1.2), (0.08, 1.0)])
def test_crops_are_distributed_as_torchvisions(scale: tuple[float, float]) -> None:
    n, side, ratio = 2000, 256, (3 / 4, 4 / 3)
    torch.manual_seed(0)
    image = torch.empty(1, side, side)
    theirs = torch.tensor(
        [RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(n)]
    )
    ours = draw_crops(n, side, scale, ratio, seeded(0))
    for column in range(4):
        assert stats.ks_2samp(ours[:, column], theirs[:, column]).pvalue > 0.01
    areas = [crops[:, 2] * crops[:, 3] for crops in (ours, theirs)]
    assert stats.ks_2samp(*areas).pvalue > 0.01


@pytest.mark.parametrize("ratio", [(2.0, 3.0), (0.2, 0.5), (1.0, 1.0)])
def test_the_fallback_is_torchvisions(ratio: tuple[float, float]) -> None:
    side, too_large = 101, (1.5, 2.0)
    expected = RandomResizedCrop.get_params(
        torch.empty(1, side, side), list(too_large), list(ratio)
    )
    assert draw_crops(3, side, too_large, ratio, seeded(0)).tolist() == [list(expected)] * 3


def test_chances_and_ranges() -> None:
    n = 4000
    views = draw_views(Augment(vflip=0.2, hflip=0.7), n, 64, seeded(5))
    shares = views.flips.double().mean(0)
    torch.testing.assert_close(shares, torch.tensor([0.2, 0.7]).double(), atol=0.03, rtol=0)

    jittered = (views.factors != torch.tensor([1.0, 1, 1, 0])).any(1)
    assert jittered.double().mean().item() == pytest.approx(0.8, abs=0.03)
    low, high = views.factors[jittered].aminmax(dim=0)
    bounds = torch.tensor([[0.8, 0.8, 0.9, -0.1], [1.2, 1.2, 1.1, 0.1]])
    torch.testing.assert_close(torch.stack([low, high]), bounds, atol=0.005, rtol=0)

    assert torch.equal(views.order.sort(1).values, torch.arange(4).expand(n, 4))
    permutations, counts = views.order.unique(dim=0, return_counts=True)
    assert len(permutations) == 24
    assert stats.chisquare(counts).pvalue > 0.01


def test_nothing_random_is_the_image_itself() -> None:
    images = random_images(3, 32)
    plain = Augment(crop=32, scale=(1, 1), ratio=(1, 1), jitter=None, hflip=0, vflip=0)
    batch = augment_batch(images, draw_views(plain, 3, 32, seeded(0)), 32)
    torch.testing.assert_close(batch, central_batch(images, 32), atol=1e-6, rtol=0)


def test_an_empty_batch_stays_empty() -> None:
    views = draw_views(Augment(), 0, 32, seeded(0))
    assert augment_batch(random_images(0, 32), views, 16).shape == (0, 3, 16, 16)


def test_mismatches_are_named() -> None:
    images = random_images(3, 32)
    with pytest.raises(ValueError, match="each of 3 images, got 2"):
        augment_batch(images, draw_views(Augment(), 2, 32, seeded(0)), 16)
    with pytest.raises(ValueError, match="crop of 33 pixels does not fit"):
        central_batch(images, 33)


def test_views_cannot_be_changed() -> None:
    views = draw_views(Augment(), 1, 256, seeded(0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        views.order = views.order + 1  # type: ignore[misc]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_agrees_with_the_cpu() -> None:
    images = random_images(16, 64)
    views = draw_views(Augment(crop=56, jitter=STRONG), 16, 64, seeded(6))
    batch = augment_batch(images.cuda(), views, 56)
    torch.testing.assert_close(batch.cpu(), augment_batch(images, views, 56), atol=5e-5, rtol=0)
    assert torch.equal(augment_batch(images.cuda(), views, 56), batch)
