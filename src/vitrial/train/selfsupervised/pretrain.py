"""Self-supervised training on images without labels, epoch by epoch, resumable to the bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from vitrial.data.batches import UnlabeledImages, load, shuffled_order
from vitrial.data.shares import balance, mean_over_processes, share_of
from vitrial.errors import VitrialError
from vitrial.layout import WEIGHTS
from vitrial.protocol import Augment, SelfSupervision
from vitrial.seeds import generator_of, seed_of
from vitrial.terminal import stops_put_off
from vitrial.train.buckets import lay_out_buckets
from vitrial.train.checkpoint import (
    History,
    PartOfEpoch,
    State,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)
from vitrial.train.finite import FINITE_EVERY, first_not_finite
from vitrial.train.optimizer import build_optimizer
from vitrial.train.selfsupervised.collapse import PATIENCE, collapse
from vitrial.train.selfsupervised.multicrop import multicrop
from vitrial.train.selfsupervised.schedule import learning_rate, momentum, weight_decay
from vitrial.train.selfsupervised.siamese import Siamese
from vitrial.train.synchronized import synchronize_batch_norm

Watch = Callable[[nn.Module], float]


@dataclass(frozen=True)
class Pretraining:
    """What is trained on what, and how.

    Attributes:
        images: Without labels.
        recipe: Of a method.
        augment: Aspect ratios of the views, the side of the large ones, and the flips that the
            recipe leaves open.
        mean: Normalization of each channel, in [0, 1].
        std: Likewise.
        seed: Decides every random draw.
        workers: Threads that read batches ahead; they change no bit.
    """

    images: UnlabeledImages
    recipe: SelfSupervision
    augment: Augment
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seed: int
    workers: int = 0


def pretrain(
    siamese: Siamese,
    pretraining: Pretraining,
    folder: Path,
    fabric: Fabric,
    watch: Watch | None = None,
    on_epoch: Callable[[History], None] = lambda history: None,
) -> History:
    """Train for `recipe.epochs`, and leave the teacher's backbone in `folder`.

    Args:
        siamese: Of the recipe's method, with the weights to start from.
        pretraining: What to train on and how.
        folder: Where the checkpoint lies, from which a later call continues.
        fabric: Of `launch`.
        watch: A look at the teacher's backbone, before and every `recipe.knn_every` epochs: the
            balanced accuracy of nearest neighbors on validation.
        on_epoch: Called after each epoch with the metrics of all epochs so far.

    Returns:
        For each epoch its loss, schedules, signs of collapse and seconds; where it was looked at,
        `knn`; in the first row also `knn_before`.

    Raises:
        VitrialError: The loss is no longer finite, or training has collapsed.
        Stopped: A signal asked for it; a checkpoint within the epoch is left.
    """
    recipe = pretraining.recipe
    if fabric.world_size > 1:
        synchronize_batch_norm(siamese, fabric.device)
    siamese = siamese.to(memory_format=torch.channels_last)
    optimizer: Any = build_optimizer(siamese, recipe.optimizer, recipe.lr, recipe.weight_decay[0])
    network: Any
    network, optimizer = fabric.setup(siamese, optimizer)

    history, _, part = load_checkpoint(folder, siamese, optimizer.optimizer)
    if history and fabric.world_size > 1:
        shape = (recipe.batch_size // fabric.world_size, len(pretraining.mean))
        sides = [side for _, side in siamese.views]
        views = [torch.zeros(*shape, side, side, device=fabric.device) for side in sides]
        lay_out_buckets(network, siamese, lambda: network(views, len(history))[0], fabric)
    before = part.row if part else {}
    if watch and not history and not part:
        before = {"knn_before": watch(siamese.teacher.backbone)}
    _refuse_collapsed(history, recipe)

    while len(history) < recipe.epochs:
        started = time.perf_counter() - (part.seconds if part else 0)
        with stops_put_off() as is_to_stop:
            epoch = (network, siamese, optimizer, pretraining, len(history), fabric)
            watched = _train_epoch(*epoch, part, is_to_stop)
            trained, part = time.perf_counter(), None
            if is_to_stop() and fabric.world_size == 1:  # several stop at batches of their own
                now = PartOfEpoch.of(watched, trained - started, before)
                optimizer_, seed = optimizer.optimizer, pretraining.seed
                save_checkpoint(folder, siamese, optimizer_, history, seed, part=now)
        row = _summary(watched, len(history), optimizer, pretraining) | before
        before = {}
        if watch and (row["epoch"] % recipe.knn_every == 0 or row["epoch"] == recipe.epochs):
            row["knn"] = watch(siamese.teacher.backbone)
        row |= {"train_seconds": trained - started, "seconds": time.perf_counter() - started}
        history.append(row)
        if fabric.is_global_zero:
            save_checkpoint(folder, siamese, optimizer.optimizer, history, pretraining.seed)
            on_epoch(history)
        _refuse_collapsed(history, recipe)
    if fabric.is_global_zero:
        save_weights(folder / WEIGHTS, siamese.teacher.backbone.state_dict())
    fabric.barrier()
    return history


def _train_epoch(
    network: Any,
    siamese: Siamese,
    optimizer: Any,
    pretraining: Pretraining,
    epoch: int,
    fabric: Fabric,
    part: PartOfEpoch | None,
    is_to_stop: Callable[[], bool],
) -> list[State]:
    """One pass over the images; what was watched of each batch, not of all if it was to stop."""
    recipe, seed = pretraining.recipe, pretraining.seed
    n = len(pretraining.images)
    order = shuffled_order(n, recipe.batch_size, generator_of(seed, "order", epoch))
    of_rank = (fabric.global_rank,) if fabric.global_rank else ()  # its dropout differs
    torch.manual_seed(seed_of(seed, "dropout", epoch, *of_rank))
    network.train()
    watched = part.batches() if part else []
    done = len(watched)
    mine = [positions[share_of(len(positions))] for positions in order]
    for batch, pixels in enumerate(
        load(pretraining.images, mine[done:], pretraining.workers, fabric.device), done
    ):
        if part and batch == done:
            part.restore_generators()  # only now: what loads may have drawn from them
        step = epoch * len(order) + batch
        schedules = schedule(step, len(order), optimizer, recipe)
        views = multicrop(
            pixels.to(fabric.device, non_blocking=True),
            siamese.views,
            recipe,
            pretraining.augment,
            pretraining.mean,
            pretraining.std,
            *(seed, "views", epoch, batch),
            whole=len(order[batch]),
        )
        shares = (schedules["momentum"], fabric, balance(np.ones(len(order[batch]))))
        watched.append(pretrain_step(network, siamese, optimizer, views, epoch, *shares))
        if len(watched) % FINITE_EVERY == 0 or len(watched) == len(order):
            _check_finite([w["loss"] for w in watched], epoch)
        if is_to_stop():
            break
    return watched


def _summary(
    watched: list[State], epoch: int, optimizer: Any, pretraining: Pretraining
) -> dict[str, Any]:
    """The row of metrics of an epoch, from what was watched of all its batches."""
    steps = (epoch + 1) * len(watched)
    schedules = schedule(steps - 1, len(watched), optimizer, pretraining.recipe)
    means = {
        name: float(mean_over_processes(torch.stack([w[name] for w in watched]).mean()))
        for name in watched[0]
    }
    return {"epoch": epoch + 1, "steps": steps, **schedules, **means}


def schedule(
    step: int, steps_per_epoch: int, optimizer: Any, recipe: SelfSupervision
) -> dict[str, float]:
    """Set the optimizer's rate and weight decay for a step; what was set, and the momentum."""
    lr = learning_rate(step, steps_per_epoch, recipe)
    decay = weight_decay(step, steps_per_epoch, recipe)
    for group in optimizer.param_groups:
        group["lr"] = lr
        if group["decays"]:
            group["weight_decay"] = decay
    return {
        "lr": lr,
        "weight_decay": decay,
        "momentum": momentum(step, steps_per_epoch, recipe),
    }


def pretrain_step(
    network: Any,
    siamese: Siamese,
    optimizer: Any,
    views: list[torch.Tensor],
    epoch: int,
    momentum: float,
    fabric: Fabric,
    balance: float = 1.0,
) -> dict[str, torch.Tensor]:
    """One optimizer step, then the teacher's; what to watch, left on the device.

    `balance` is of the loss, between processes: see `vitrial.data.shares.balance`.
    """
    loss, watched = network(views, epoch)
    loss = loss * balance
    optimizer.zero_grad()
    fabric.backward(loss)
    siamese.before_step(epoch)
    if siamese.recipe.clip_norm is not None:
        max_norm = siamese.recipe.clip_norm
        fabric.clip_gradients(network, optimizer, max_norm=max_norm, error_if_nonfinite=False)
    optimizer.step()
    siamese.after_step(momentum)
    return {"loss": loss.detach(), **watched}


def _check_finite(losses: list[torch.Tensor], epoch: int) -> None:
    bad = first_not_finite(losses)
    if bad is not None:
        raise VitrialError(
            f"The loss is no longer finite at batch {bad + 1} of epoch {epoch + 1}: lower base_lr, "
            "lengthen warmup_epochs, or set precision to fp32. The checkpoint of the epoch before "
            "is kept."
        )


def _refuse_collapsed(history: History, recipe: SelfSupervision) -> None:
    if what := collapse(history, recipe.warmup_epochs):
        raise VitrialError(
            f"Self-supervision has collapsed: {what} for {PATIENCE} epochs. Lower "
            "base_lr, add images with `unlabeled`, enlarge batch_size, or start from pretrained "
            "weights."
        )
