import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrial.data.batches import evaluation_order, read_ahead, training_order
from vitrial.protocol import Recipe
from vitrial.seeds import generator_of


@given(st.integers(2, 300), st.integers(1, 64), st.integers(0, 3))
def test_an_epoch_has_every_image_once_in_even_batches(n, batch_size, epoch):
    recipe = Recipe(batch_size=batch_size)
    order = training_order(np.zeros(n, dtype=int), recipe, generator_of("order", epoch))
    assert sorted(np.concatenate(order)) == list(range(n))
    sizes = [len(batch) for batch in order]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 300), st.integers(1, 64))
def test_evaluation_has_every_image_once_in_order(n, batch_size):
    assert np.concatenate(evaluation_order(n, batch_size)).tolist() == list(range(n))


def test_seeds_alone_decide_the_order():
    targets, recipe = np.zeros(50, dtype=int), Recipe(batch_size=50)
    first, again, other = (
        training_order(targets, recipe, generator_of("order", epoch))[0] for epoch in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_balanced_sampling_draws_every_class_equally_often():
    targets = np.repeat([0, 1, 2], [9000, 900, 100])
    recipe = Recipe(sampling="balanced")
    drawn = targets[np.concatenate(training_order(targets, recipe, generator_of("balanced")))]
    shares = np.bincount(drawn) / len(drawn)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.02)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_reading_ahead_changes_no_order(workers):
    order = [np.array([i]) for i in range(10)]
    assert list(read_ahead(lambda at: int(at[0]) ** 2, order, workers)) == [i**2 for i in range(10)]
    assert list(read_ahead(lambda at: at, [], workers)) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_reading_ahead_arrives(workers):
    def read(at):
        if at[0] == 3:
            raise OSError("the disk is gone")
        return at

    with pytest.raises(OSError, match="the disk is gone"):
        list(read_ahead(read, [np.array([i]) for i in range(5)], workers))
