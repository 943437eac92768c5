import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vitrial.explain.maps import upsample
from vitrial.explain.measures.sharpness import detail, entropy


def test_entropy_by_hand():
    one = np.zeros((4, 4))
    one[1, 2] = 3
    assert entropy(one) == 0
    two = one.copy()
    two[0, 0] = 3
    assert entropy(two) == pytest.approx(1 / 4)  # one of log2(16) = 4 bits
    assert entropy(np.ones((4, 4))) == pytest.approx(1)
    assert entropy(np.zeros((4, 4))) == 1


# Half of the smallest subnormal number is zero: there, scale would matter.
LEVELS = st.floats(0, 1, width=32, allow_subnormal=False)


@given(arrays(np.float32, (3, 4), elements=LEVELS), st.sampled_from([0.5, 4]))
def test_entropy_is_a_share_and_knows_no_scale(heat, scale):
    assert 0 <= entropy(heat) <= 1 + 1e-9
    assert entropy(heat * scale) == pytest.approx(entropy(heat), abs=1e-4)


@pytest.mark.parametrize("sigma", [1.5, 2, 4])
def test_detail_of_a_gaussian_is_the_width_of_its_correlation_with_itself(sigma):
    y, x = np.mgrid[:128, :128] - 63.5
    blob = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    width = 2 * math.sqrt(2 * math.log(2)) * math.sqrt(2) * sigma
    assert detail(blob) == pytest.approx(width, rel=0.05)


def test_detail_follows_the_grid_that_a_map_comes_from():
    random = np.random.default_rng(0)
    sizes = [detail(upsample(random.random((1, n, n)), 112, 112)[0]) for n in (28, 14, 7)]
    assert sizes == sorted(sizes)
    assert sizes[1] == pytest.approx(112 / 14, rel=0.5)


def test_a_constant_map_shows_nothing():
    assert detail(np.full((10, 20), 0.3)) == 20
    assert detail(np.zeros((10, 10), dtype=np.float32)) == 10
    # The mean of many equal float32 is not quite that number.
    for level in (0.1, 0.3, 1 / 3, 0.7, 1e-5):
        assert detail(np.full((224, 224), level, dtype=np.float32)) == 224


@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1e6])
def test_detail_knows_no_scale(scale):
    heat = np.random.default_rng(0).random((16, 16))
    assert detail(heat * scale) == pytest.approx(detail(heat))
