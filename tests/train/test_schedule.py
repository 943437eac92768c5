import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrial.protocol import Plateau, Recipe
from vitrial.train.schedule import exhausted, learning_rate, saturations, warmup_factor

scores_strategy = st.lists(st.floats(-1, 1, allow_nan=False), max_size=60)


@settings(deadline=None)
@given(scores_strategy, st.integers(1, 6))
def test_drops_are_those_of_pytorchs_plateau_schedule(scores, patience):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.5, patience=patience - 1, threshold=0.0, eps=0.0
    )
    for score in scores:
        reference.step(score)
    assert 0.5 ** saturations(scores, patience) == optimizer.param_groups[0]["lr"]


@given(st.integers(0, 3000), st.integers(1, 2000))
def test_warmup_is_linear_and_ends_at_one(step, warmup):
    assert warmup_factor(step, warmup) == pytest.approx(min(1, (step + 1) / warmup))


def test_no_warmup_and_no_negative_step():
    assert warmup_factor(0, 0) == 1
    with pytest.raises(ValueError, match="negative"):
        warmup_factor(-1, 10)


@given(scores_strategy, st.integers(0, 500))
def test_rate_stays_between_final_and_base(scores, step):
    recipe = Recipe(base_lr=1e-3, warmup_steps=0, plateau=Plateau(patience=2, final_lr=1e-5))
    assert 1e-5 <= learning_rate(step, scores, recipe) <= 1e-3


def test_the_papers_descent_from_1e4_to_1e6_and_its_end():
    recipe = Recipe(base_lr=1e-4, warmup_steps=0, plateau=Plateau(patience=1, final_lr=1e-6))
    scores, rates = [0.5], []
    while not exhausted(scores, recipe):
        rates.append(learning_rate(0, scores, recipe))
        scores.append(0.4)
    assert rates == pytest.approx([1e-4, 1e-5, 1e-6])


def test_saturation_at_a_rate_that_is_final_from_the_start_ends_training():
    recipe = Recipe(base_lr=1e-4, plateau=Plateau(patience=2, final_lr=1e-4))
    assert not exhausted([0.5, 0.5], recipe)
    assert exhausted([0.5, 0.5, 0.5], recipe)


def test_patience_is_the_number_of_epochs_without_improvement():
    """By hand: best .5, then 1, 2, 3 epochs no better; .6 is; then 1, 2, 3, and 1, 2, 3 again."""
    scores = [0.5, 0.5, 0.4, 0.3, 0.6, 0.6, 0.6, 0.6, 0.1, 0.2, 0.3]
    counts = [saturations(scores[:n], patience=3) for n in range(1, len(scores) + 1)]
    assert counts == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3]
    assert "in a row without improvement" in (Plateau.__doc__ or "")


def test_a_worst_score_below_zero_still_counts_as_a_first_best():
    assert saturations([-0.3, -0.4, -0.2], patience=2) == 0
