from contextlib import nullcontext

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vitrial.explain.measures.faithfulness import area, deletion_insertion, ranks


class Counting(torch.nn.Module):
    """Class 1's probability is the mean of the left half of the image, whatever the rest."""

    def forward(self, images):
        left = images[..., : images.shape[-1] // 2].mean(dim=(1, 2, 3)).clamp(1e-6, 1 - 1e-6)
        return torch.stack([(1 - left).log(), left.log()], dim=1)


def curves(heat, steps=10):
    images = torch.ones(1, 1, 20, 20)
    found = deletion_insertion(Counting(), images, heat[None], np.array([1]), nullcontext, steps)
    return [float(values[0]) for values in found]


def test_a_map_of_what_the_model_looks_at_deletes_at_once_and_inserts_at_once():
    left = np.zeros((20, 20), dtype=np.float32)
    left[:, :10] = 1
    # With the left half first, the probability falls from 1 to 0 in 5 of 10 steps: 1/4 in all.
    deletion, _ = curves(left)
    np.testing.assert_allclose(deletion, 0.25, atol=1e-4)
    # With the right half first, it stays at 1 for 5 steps, then falls: 3/4.
    other, _ = curves(1 - left)
    np.testing.assert_allclose(other, 0.75, atol=1e-4)


def test_insertion_starts_from_a_blurred_image_and_ends_with_the_whole():
    image = torch.zeros(1, 1, 20, 20)
    image[..., 2:6, 2:6] = 1  # a spot on the left, which the blur spreads
    spot = image[0, 0].numpy()

    class Spot(torch.nn.Module):
        def forward(self, images):
            seen = images[..., 2:6, 2:6].mean(dim=(1, 2, 3)).clamp(1e-6, 1 - 1e-6)
            return torch.stack([(1 - seen).log(), seen.log()], dim=1)

    def insertion(heat):
        found = deletion_insertion(Spot(), image, heat[None], np.array([1]), nullcontext)
        return float(found[1][0])

    assert insertion(spot) > 0.94  # all but the first of eleven points are at 1
    assert insertion(spot) > insertion(1 - spot) + 0.2


def test_area_by_trapezoids_as_scikit_learn_has_it():
    from sklearn.metrics import auc

    curve = np.random.default_rng(0).random((6, 3)).astype(np.float32)
    expected = [auc(np.linspace(0, 1, 6), curve[:, i]) for i in range(3)]
    np.testing.assert_allclose(area(curve), expected, rtol=1e-5)


@given(arrays(np.float32, (2, 3, 4), elements=st.floats(0, 1, width=32)))
def test_ranks_are_a_permutation_that_sorts_the_map(heat):
    places = ranks(heat)
    for values, order in zip(heat, places, strict=True):
        assert sorted(order.ravel()) == list(range(12))
        by_place = values.ravel()[np.argsort(order.ravel())]
        assert (np.diff(by_place) <= 0).all()
