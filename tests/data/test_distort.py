from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from vitrial.data.distort import Distortions, distort_, draw_distortions

SIZES = [(224, 224), (33, 20), (8, 8), (3, 5), (2, 2), (1, 1)]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(n: int, height: int, width: int, channels: int = 3, seed: int = 0) -> Tensor:
    """Noise with black and white patches, channels_last."""
    noise = torch.rand(n, channels, height, width, generator=seeded(seed)) * 1.5 - 0.25
    return noise.clamp_(0, 1).contiguous(memory_format=torch.channels_last)


def the_same(n: int, gray: bool = False, sigma: float = 0, solarize: bool = False) -> Distortions:
    """n times the same distortions."""
    return Distortions(
        torch.full((n,), gray), torch.full((n,), float(sigma)), torch.full((n,), solarize)
    )


def gray(image: Tensor) -> Tensor:
    return tv.rgb_to_grayscale(image, num_output_channels=3) if len(image) == 3 else image


def blur(image: Tensor, sigma: float) -> Tensor:
    reach = min(math.ceil(3 * sigma), *(side - 1 for side in image.shape[1:]))
    return tv.gaussian_blur(image, [2 * reach + 1] * 2, [sigma, sigma])


def solarize(image: Tensor) -> Tensor:
    return tv.solarize(image, 0.5)


def reference(image: Tensor, distortions: Distortions, i: int) -> Tensor:
    """One image by torchvision's functions."""
    sigma = distortions.sigma[i].item()
    image = gray(image) if distortions.gray[i] else image
    image = blur(image, sigma) if sigma else image
    return solarize(image) if distortions.solarize[i] else image


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_equals_torchvision(height: int, width: int, channels: int) -> None:
    images = random_images(12, height, width, channels)
    distortions = draw_distortions(12, 0.5, 0.8, (0.1, 3), 0.5, seeded(1))
    expected = torch.stack([reference(image, distortions, i) for i, image in enumerate(images)])
    distort_(images, distortions)
    torch.testing.assert_close(images, expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_grayscale_equals_torchvision(channels: int) -> None:
    images = random_images(4, 30, 40, channels)
    expected = torch.stack([gray(image) for image in images])
    distort_(images, the_same(4, gray=True))
    torch.testing.assert_close(images, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [0.01, 0.1, 1 / 3, 1, 2, 5])
def test_blur_equals_torchvision(sigma: float, channels: int) -> None:
    images = random_images(2, 30, 40, channels)
    distortions = the_same(2, sigma=sigma)
    expected = torch.stack([blur(image, distortions.sigma[0].item()) for image in images])
    distort_(images, distortions)
    torch.testing.assert_close(images, expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_solarization_equals_torchvision(channels: int) -> None:
    images = random_images(4, 30, 40, channels)
    images[0, 0, 0, :4] = torch.tensor([0.5, 0.5 - 2**-25, 0.5 + 2**-24, 2**-25])
    expected = torch.stack([solarize(image) for image in images])
    assert torch.equal(distort_(images, the_same(4, solarize=True)), expected)


def test_the_order_is_gray_blur_solarize() -> None:
    image = random_images(1, 32, 32)[0]
    ours = distort_(image[None].clone(), the_same(1, gray=True, sigma=1, solarize=True))[0]
    torch.testing.assert_close(ours, solarize(blur(gray(image), 1)), atol=2e-6, rtol=0)
    for other in (blur(solarize(gray(image)), 1), blur(gray(solarize(image)), 1)):
        assert (ours - other).abs().max() > 0.1


@pytest.mark.parametrize("value", [0, 1])
def test_black_and_white_stay_within_bounds(value: int) -> None:
    images = torch.full((400, 1, 20, 20), float(value))
    never = torch.zeros(400, dtype=torch.bool)
    distort_(images, Distortions(never, torch.linspace(0.1, 3, 400), never))
    assert images.min() >= 0
    assert images.max() <= 1
    torch.testing.assert_close(images, torch.full_like(images, value), atol=1e-6, rtol=0)


def test_images_without_distortions_keep_their_bits() -> None:
    images = random_images(40, 9, 9)
    distortions = draw_distortions(40, 0.2, 0.3, (0.5, 2), 0.2, seeded(2))
    untouched = ~distortions.gray & (distortions.sigma == 0) & ~distortions.solarize
    assert 0 < untouched.sum() < 40
    before = images.clone()
    distort_(images, distortions)
    kept = (images == before).flatten(1).all(1)
    assert torch.equal(kept, untouched)


@pytest.mark.parametrize("channels", [1, 3])
def test_one_channel_is_gray_already(channels: int) -> None:
    images = random_images(2, 9, 9, channels)
    before = images.clone()
    distort_(images, the_same(2, gray=True))
    assert torch.equal(images, before) == (channels == 1)


def test_the_images_themselves_change_and_take_no_gradient() -> None:
    images = random_images(3, 16, 16).requires_grad_()
    before = images.detach().clone()
    distorted = distort_(images, the_same(3, gray=True, sigma=1, solarize=True))
    assert distorted is images
    assert images.is_leaf
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(images, before)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(1, 6),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    threads=st.sampled_from([1, 2]),
)
def test_images_are_independent_of_batch_threads_and_memory_format(
    seed: int, n: int, height: int, width: int, channels: int, threads: int
) -> None:
    images = random_images(n, height, width, channels, seed)
    distortions = draw_distortions(n, 0.5, 0.7, (0.1, 3), 0.5, seeded(seed))
    batch = distort_(images.clone(), distortions)
    assert batch.min() >= 0
    assert batch.max() <= 1

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        alone = [distort_(images[i : i + 1].clone(), distortions[i : i + 1]) for i in range(n)]
        planes = images.clone(memory_format=torch.contiguous_format)
        distort_(planes, distortions)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(torch.cat(alone), batch)
    assert torch.equal(planes, batch)


def test_threads_change_nothing() -> None:
    images = random_images(4, 224, 224)
    distortions = draw_distortions(4, 0.5, 1, (0.1, 2), 0.5, seeded(3))
    expected = distort_(images.clone(), distortions)
    threads = torch.get_num_threads()
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            assert torch.equal(distort_(images.clone(), distortions), expected)
    finally:
        torch.set_num_threads(threads)


def test_chances_and_ranges() -> None:
    n = 4000
    drawn = draw_distortions(n, 0.2, 0.6, (0.5, 1.5), 0.1, seeded(5))
    assert drawn.gray.double().mean().item() == pytest.approx(0.2, abs=0.03)
    assert drawn.solarize.double().mean().item() == pytest.approx(0.1, abs=0.03)
    blurred = drawn.sigma > 0
    assert blurred.double().mean().item() == pytest.approx(0.6, abs=0.03)
    sigma = drawn.sigma[blurred]
    assert sigma.min() >= 0.5
    assert sigma.max() <= 1.5
    assert stats.kstest(sigma, stats.uniform(0.5, 1).cdf).pvalue > 0.001
    together = (drawn.gray & blurred & drawn.solarize).double().mean().item()
    assert together == pytest.approx(0.2 * 0.6 * 0.1, abs=0.01)


def test_never_and_always() -> None:
    never = draw_distortions(500, 0, 0, (0.1, 2), 0, seeded(6))
    assert not never.gray.any()
    assert not never.sigma.any()
    assert not never.solarize.any()
    always = draw_distortions(500, 1, 1, (0.1, 2), 1, seeded(6))
    assert always.gray.all()
    assert (always.sigma > 0).all()
    assert always.solarize.all()


def test_draws_repeat_with_their_seed() -> None:
    first, again, other = (
        draw_distortions(50, 0.5, 0.5, (0.1, 2), 0.5, seeded(seed)) for seed in (7, 7, 8)
    )
    for field in ("gray", "sigma", "solarize"):
        assert torch.equal(getattr(first, field), getattr(again, field))
        assert not torch.equal(getattr(first, field), getattr(other, field))


def test_no_probability_changes_the_other_draws() -> None:
    base = draw_distortions(200, 0.5, 0.5, (0.1, 2), 0.5, seeded(9))
    generator = seeded(9)
    grayer = draw_distortions(200, 0.9, 0.5, (0.1, 2), 0.5, generator)
    assert torch.equal(grayer.sigma, base.sigma)
    assert torch.equal(grayer.solarize, base.solarize)
    assert (grayer.gray | ~base.gray).all()

    blurrier = draw_distortions(200, 0.5, 0.9, (0.1, 2), 0.5, seeded(9))
    both = base.sigma > 0
    assert torch.equal(blurrier.sigma[both], base.sigma[both])
    assert torch.equal(blurrier.gray, base.gray)
    assert torch.equal(blurrier.solarize, base.solarize)

    none = seeded(9)
    draw_distortions(200, 0, 0, (0, 0), 0, none)
    assert torch.equal(none.get_state(), generator.get_state())


def test_an_empty_batch_stays_empty() -> None:
    drawn = draw_distortions(0, 0.5, 0.5, (0.1, 2), 0.5, seeded(0))
    assert len(drawn) == 0
    assert distort_(random_images(0, 16, 16), drawn).shape == (0, 3, 16, 16)


def test_mismatches_are_named() -> None:
    with pytest.raises(ValueError, match="each of 3 images, got 2"):
        distort_(random_images(3, 8, 8), the_same(2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_agrees_with_the_cpu() -> None:
    images = random_images(16, 64, 64)
    distortions = draw_distortions(16, 0.5, 0.7, (0.1, 2), 0.5, seeded(10))
    batch = distort_(images.cuda(), distortions)
    again = distort_(images.cuda(), distortions)
    torch.testing.assert_close(batch.cpu(), distort_(images, distortions), atol=1e-5, rtol=0)
    assert torch.equal(again, batch)
