"""Schedules of self-supervision (Caron et al. 2021, section 3.2): functions of step or epoch.

There is no state in them to save, restore or get wrong.
"""

from __future__ import annotations

from lightly.utils.scheduler import cosine_schedule, cosine_warmup_schedule

from vitrial.protocol import SelfSupervision


def learning_rate(step: int, steps_per_epoch: int, recipe: SelfSupervision) -> float:
    """Linear growth to `recipe.lr` over the warm-up, then a cosine down to `recipe.final_lr`.

    Args:
        step: Optimizer step, from 0.
        steps_per_epoch: Steps of an epoch.
        recipe: Rate, warm-up and number of epochs.
    """
    rate: float = cosine_warmup_schedule(
        step,
        recipe.epochs * steps_per_epoch,
        start_value=recipe.lr,
        end_value=recipe.final_lr,
        warmup_steps=recipe.warmup_epochs * steps_per_epoch,
        warmup_start_value=0.0,
    )
    return rate


def weight_decay(step: int, steps_per_epoch: int, recipe: SelfSupervision) -> float:
    """A cosine from the first value of `recipe.weight_decay` to the second."""
    decay: float = cosine_schedule(step, recipe.epochs * steps_per_epoch, *recipe.weight_decay)
    return decay


def momentum(step: int, steps_per_epoch: int, recipe: SelfSupervision) -> float:
    """The teacher's momentum: a cosine from `recipe.momentum` to 1."""
    value: float = cosine_schedule(step, recipe.epochs * steps_per_epoch, recipe.momentum, 1.0)
    return value
