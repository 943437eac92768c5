"""The learning rate: linear warm-up, then tenfold drops when the validation endpoint saturates.

Everything is a function of the step and of the validation scores so far, so that there is no
state to save, restore or get wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from vitrial.protocol import Recipe


def warmup_factor(step: int, warmup_steps: int) -> float:
    """Share of the base rate at an optimizer step (from 0): (step + 1) / warmup_steps, up to 1."""
    if step < 0:
        raise ValueError(f"step must not be negative, got {step}")
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0


def saturations(scores: Sequence[float], patience: int) -> int:
    """How often a score has gone without improvement for `patience` epochs.

    The best starts at minus infinity, scores are compared unrounded, and the count of bad epochs
    starts anew at each saturation, as in PyTorch's ReduceLROnPlateau with threshold 0 and a
    patience one lower: PyTorch counts the epochs that it tolerates.

    Args:
        scores: Of each epoch, higher is better.
        patience: Epochs in a row without improvement that count as one saturation.
    """
    best, bad, count = float("-inf"), 0, 0
    for score in scores:
        if score > best:
            best, bad = score, 0
        else:
            bad += 1
        if bad == patience:
            count, bad = count + 1, 0
    return count


def learning_rate(step: int, scores: Sequence[float], recipe: Recipe) -> float:
    """Learning rate of an optimizer step.

    Args:
        step: Optimizer step, from 0.
        scores: Validation endpoint of the epochs since warm-up; scores grow slowly while the rate
            is still low, which is no saturation.
        recipe: Base rate, warm-up and plateau.
    """
    drops = saturations(scores, recipe.plateau.patience)
    rate = max(recipe.base_lr * recipe.plateau.factor**drops, recipe.plateau.final_lr)
    return rate * warmup_factor(step, recipe.warmup_steps)


def exhausted(scores: Sequence[float], recipe: Recipe) -> bool:
    """Whether the endpoint has saturated at the final learning rate, which ends training."""
    drops = saturations(scores, recipe.plateau.patience)
    before_last_drop = recipe.base_lr * recipe.plateau.factor ** (drops - 1)
    # The tolerance is for rounding: 1e-4 * 0.1 * 0.1 may lie a hair above 1e-6.
    return drops > 0 and before_last_drop <= recipe.plateau.final_lr * (1 + 1e-9)
