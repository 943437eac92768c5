import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, jaccard_score

from vitrial.explain.measures.localization import MEASURES, center_blob, localization, random_grid

MASKS = arrays(bool, (4, 5)).filter(lambda mask: mask.any() and not mask.all())
MAPS = arrays(np.float32, (4, 5), elements=st.integers(0, 9).map(np.float32))


def test_worked_out_by_hand():
    heat = np.array([[4, 3, 0], [2, 1, 0]], dtype=np.float32)
    mask = np.array([[1, 0, 0], [1, 0, 1]], dtype=bool)
    found = localization(heat, mask)
    assert found["pointing"] == 1  # the 4 lies on the lesion
    assert found["energy"] == pytest.approx(6 / 10)
    # Ranked: lesion, not, lesion, not, then a lesion and another pixel at once:
    # 1/3 of 1/1, 1/3 of 2/3, 1/3 of 3/6.
    assert found["precision"] == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    assert found["iou"] == pytest.approx(2 / 4)  # the highest three against the lesion's three


def test_ties_count_by_the_share_that_is_taken():
    heat = np.array([[5, 5, 1, 1]], dtype=np.float32)
    mask = np.array([[1, 0, 1, 0]], dtype=bool)
    found = localization(heat, mask)
    assert found["pointing"] == 0.5
    assert found["iou"] == pytest.approx(1 / 3)  # one of the two fives is on the lesion
    mask = np.array([[1, 1, 1, 0]], dtype=bool)
    assert localization(heat, mask)["iou"] == pytest.approx(2.5 / 3.5)  # half of a one is


@given(MASKS, st.floats(0, 5, width=32))
def test_a_constant_map_scores_what_guessing_does(mask, level):
    found = localization(np.full(mask.shape, level, dtype=np.float32), mask)
    share = mask.mean()
    for name in ("pointing", "energy", "precision"):
        assert found[name] == pytest.approx(share)
    assert found["iou"] == pytest.approx(share / (2 - share))


@given(MASKS)
def test_the_mask_itself_is_a_perfect_map(mask):
    assert localization(mask.astype(np.float32), mask) == dict.fromkeys(MEASURES, 1.0)


@given(MAPS, MASKS)
def test_precision_is_scikit_learns_and_scale_is_irrelevant(heat, mask):
    found = localization(heat, mask)
    expected = average_precision_score(mask.ravel(), heat.ravel())
    assert found["precision"] == pytest.approx(expected)
    assert localization(heat * 8, mask) == pytest.approx(found)
    assert all(0 <= value <= 1 for value in found.values())


@given(st.permutations(range(20)), MASKS)
def test_iou_without_ties_is_scikit_learns_jaccard_index(values, mask):
    heat = np.array(values, dtype=np.float32).reshape(4, 5)
    assume(len(set(values)) == 20)
    chosen = heat >= np.sort(heat.ravel())[-mask.sum()]
    expected = jaccard_score(mask.ravel(), chosen.ravel())
    assert localization(heat, mask)["iou"] == pytest.approx(expected)


@pytest.mark.parametrize("level", [0, 1])
def test_nothing_is_measured_without_a_border_between_lesion_and_rest(level):
    found = localization(np.ones((2, 2)), np.full((2, 2), level, dtype=bool))
    assert all(np.isnan(value) for value in found.values())


def test_what_is_no_map_is_refused():
    mask = np.array([[True, False]])
    with pytest.raises(ValueError, match="does not fit"):
        localization(np.ones((2, 2)), mask)
    for bad in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite and nonnegative"):
            localization(np.array([[1, bad]]), mask)


def test_maps_that_know_nothing():
    blob = center_blob(8)
    assert blob.shape == (8, 8)
    np.testing.assert_allclose(blob, blob.T)
    np.testing.assert_allclose(blob, blob[::-1])
    # Two pixels from the middle are one standard deviation: exp(-1/2).
    np.testing.assert_allclose(
        center_blob(9)[4, 4] * np.exp(-0.5 * (4 / 2.25) ** 2), center_blob(9)[4, 0]
    )
    assert (random_grid(1, 3, 4) == random_grid(1, 3, 4)).all()
    assert (random_grid(1, 3, 4) != random_grid(2, 3, 4)).any()
