"""Whether an image is unlike the training images: distances, ranks, and what they promise."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.metrics.pairwise import cosine_similarity

from vitrial.evaluate.neighborhood import NEEDED, UNLIKE, Neighborhood

SPREAD = np.array([10.0, 1.0, 0.1, 1.0])


def draw(n, seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, 4)) * SPREAD + 5 + shift


def test_far_is_what_is_far_for_how_little_the_training_images_spread():
    near = Neighborhood(draw(500, 0), draw(200, 1))
    middle = np.full((1, 4), 5.0)
    along = middle + np.array([3.0, 0, 0, 0])  # usual in the first direction
    across = middle + np.array([0, 0, 3.0, 0])  # 30 standard deviations in the third
    assert near.rarity(middle)[0] > 0.3
    assert near.rarity(along)[0] > 0.3
    assert near.rarity(across)[0] == 1 / 201


def test_distances_are_mahalanobis_distances_to_the_kth_neighbor():
    train, images = draw(2000, 0), draw(50, 2)
    spread = LedoitWolf().fit(train).precision_
    gaps = images[:, None] - train[None]
    every = np.sqrt(np.einsum("nij,jk,nik->ni", gaps, spread, gaps))
    for k in (1, 3):
        expected = np.sort(every, axis=1)[:, k - 1]
        found = Neighborhood(train, images, k).distance(images)
        np.testing.assert_allclose(found, expected)


def test_as_many_images_of_the_same_kind_count_as_unlike_as_is_said():
    flagged = []
    for seed in range(60):
        near = Neighborhood(draw(80, 3 * seed), draw(99, 3 * seed + 1))
        flagged.append(np.mean(near.rarity(draw(100, 3 * seed + 2)) <= UNLIKE))
    assert np.mean(flagged) == pytest.approx(UNLIKE, abs=0.015)


def test_the_rarest_of_few_validation_images_is_as_rare_as_it_can_be():
    for count in (NEEDED - 1, NEEDED):
        near = Neighborhood(draw(80, 0), draw(count, 1))
        rarest = near.rarity(draw(1, 2, shift=1000))[0]
        assert rarest == 1 / (count + 1)
        assert (rarest <= UNLIKE) == (count >= NEEDED)


def test_similar_images_are_those_of_the_largest_cosines():
    train, images = draw(30, 0), draw(7, 1)
    rows, cosines = Neighborhood(train, draw(20, 2), k=4).similar(images)
    every = cosine_similarity(images, train)
    np.testing.assert_array_equal(rows, np.argsort(-every, axis=1)[:, :4])
    np.testing.assert_allclose(cosines, -np.sort(-every, axis=1)[:, :4])


def test_few_images_and_features_that_never_change_are_no_trouble():
    train = np.zeros((3, 600), dtype=np.float16)
    train[:, 0] = [1, 2, 3]
    near = Neighborhood(train, train[:2])
    assert near.similar(train)[0].shape == (3, 3)
    assert np.isfinite(near.distances).all()
    constant = Neighborhood(np.ones((5, 8)), np.ones((4, 8)))
    assert constant.rarity(np.ones((1, 8)))[0] == 1
