import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitrial.train.selfsupervised.methods.dino.network import teacher_temperature
from vitrial.train.selfsupervised.methods.dino.recipe import Dino
from vitrial.train.selfsupervised.schedule import (
    learning_rate,
    momentum,
    weight_decay,
)

RECIPE = Dino(epochs=10, warmup_epochs=2, batch_size=128, base_lr=1e-3, final_lr=1e-5)
STEPS = 7  # an epoch


def cosine(first, last, i, n):
    return last + (first - last) * (1 + math.cos(math.pi * i / (n - 1))) / 2


def test_the_rate_warms_up_linearly_and_falls_by_a_cosine():
    rates = [learning_rate(step, STEPS, RECIPE) for step in range(10 * STEPS)]
    peak = 1e-3 * 128 / 256
    warmup = [peak * (i + 1) / 14 for i in range(14)]
    fall = [cosine(peak, 1e-5, i, 56) for i in range(56)]
    np.testing.assert_allclose(rates, warmup + fall, rtol=1e-12)


@given(st.integers(0, 10 * STEPS - 1))
def test_momentum_and_decay_follow_a_cosine_over_all_steps(step):
    n = 10 * STEPS
    assert momentum(step, STEPS, RECIPE) == pytest.approx(cosine(0.996, 1, step, n), rel=1e-12)
    assert weight_decay(step, STEPS, RECIPE) == pytest.approx(cosine(0.04, 0.4, step, n), rel=1e-12)


def test_momentum_ends_at_one():
    assert momentum(10 * STEPS - 1, STEPS, RECIPE) == 1


def test_the_teachers_temperature_grows_linearly_and_stays():
    found = [teacher_temperature(epoch, Dino()) for epoch in range(100)]
    np.testing.assert_allclose(found, [*np.linspace(0.04, 0.07, 30), *[0.07] * 70])
    assert teacher_temperature(0, Dino(teacher_warmup_epochs=0)) == 0.07


@given(st.integers(1, 40), st.integers(1, 9), st.data())
def test_schedules_stay_in_their_bounds(epochs, steps, data):
    warmup = data.draw(st.integers(0, epochs - 1))
    recipe = Dino(epochs=epochs, warmup_epochs=warmup)
    step = data.draw(st.integers(0, epochs * steps - 1))
    assert 0 < learning_rate(step, steps, recipe) <= recipe.lr * (1 + 1e-12)
    assert 0.996 - 1e-12 <= momentum(step, steps, recipe) <= 1
    assert 0.04 - 1e-12 <= weight_decay(step, steps, recipe) <= 0.4 + 1e-12
