"""Batches in a GPU's memory: the tests that need one are skipped elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vitrial.data import on_device
from vitrial.data.batches import CachedImages, UnlabeledImages, evaluation_order, load
from vitrial.data.cache import PixelCache
from vitrial.data.on_device import PixelsOnDevice

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> PixelCache:
    from vitrial.data.prepared import prepare_data
    from vitrial.data.sources.phantom import PhantomData
    from vitrial.protocol import Image, Split

    phantoms = PhantomData(source="phantom", patients=40, size=64)
    root = tmp_path_factory.mktemp("cache")
    return prepare_data(phantoms, Split(), Image(resize=32), root).cache


def test_pixels_on_a_device_are_those_of_the_cache(cache):
    rows = np.array([5, 0, 5, cache.shape[0] - 1])
    pixels = PixelsOnDevice(cache, CPU)
    assert pixels.shape == cache.shape
    np.testing.assert_array_equal(pixels.read(rows).numpy(), cache.read(rows))


def test_images_of_several_caches_come_in_the_order_asked_for(cache):
    first, second = np.array([3, 1, 4]), np.array([2, 7])
    images = UnlabeledImages([(cache, first), (PixelsOnDevice(cache, CPU), second)])
    positions = np.array([4, 0, 3, 2])
    expected = cache.read(np.array([7, 3, 2, 4]))
    np.testing.assert_array_equal(images[positions].numpy(), expected)


@needs_gpu
@pytest.mark.parametrize("share", [0.0, 0.25])
def test_batches_are_the_same_copied_ahead_or_from_memory(cache, share, monkeypatch):
    monkeypatch.setattr(on_device, "SHARE", share)
    on_device.pixels_on.cache_clear()
    rows = np.arange(cache.shape[0])
    images = CachedImages(cache, rows, rows % 3)
    order, device = evaluation_order(len(rows), 7), torch.device("cuda")
    batches = zip(load(images, order, 0, CPU), load(images, order, 0, device), strict=True)
    for (pixels, targets), (moved, same) in batches:
        assert moved.is_cuda
        torch.testing.assert_close(moved.cpu(), pixels)
        torch.testing.assert_close(same.cpu(), targets)
