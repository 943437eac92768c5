"""Training one model on one data set, epoch by epoch, resumable to the bit.

The recipe is the paper's (Matsoukas et al. 2021, sec. 4): warm-up, a rate that drops when the
validation endpoint saturates, and the weights of the best validation score.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from vitrial.data.augment import augment_batch, draw_views
from vitrial.data.batches import load, training_order
from vitrial.data.normalize import normalize_
from vitrial.data.prepared import Prepared
from vitrial.data.shares import balance, mean_over_processes, share_of
from vitrial.errors import VitrialError
from vitrial.evaluate.predict import CentralView, predict
from vitrial.layout import WEIGHTS
from vitrial.metrics import ENDPOINTS, all_metrics
from vitrial.protocol import Augment, EndpointName, Recipe
from vitrial.seeds import generator_of, seed_of
from vitrial.tasks import Task, task_of
from vitrial.terminal import stops_put_off
from vitrial.train.buckets import lay_out_buckets
from vitrial.train.checkpoint import (
    History,
    PartOfEpoch,
    State,
    copy_of_weights,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)
from vitrial.train.finite import FINITE_EVERY, first_not_finite
from vitrial.train.graphs import Graphs, graphs_for, set_rate
from vitrial.train.optimizer import build_optimizer
from vitrial.train.schedule import exhausted, learning_rate
from vitrial.train.step import train_step
from vitrial.train.synchronized import synchronize_batch_norm


@dataclass(frozen=True)
class Training:
    """What is trained on what, and how.

    Attributes:
        data: The data set; only its train and val splits are touched.
        recipe: How to optimize.
        augment: Random views.
        endpoint: What validation selects by.
        mean: Normalization of each channel, in [0, 1].
        std: Likewise.
        seed: Decides every random draw.
        workers: Threads that read batches ahead; they change no bit.
    """

    data: Prepared
    recipe: Recipe
    augment: Augment
    endpoint: EndpointName
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seed: int
    workers: int = 0

    @property
    def task(self) -> Task:
        """What the endpoint asks of a model."""
        return task_of(self.endpoint)


def fit(
    model: nn.Module,
    training: Training,
    folder: Path,
    fabric: Fabric,
    on_epoch: Callable[[History], None] = lambda history: None,
) -> History:
    """Train until the endpoint has saturated at the final rate, or `recipe.epochs` are over.

    Leaves in `folder` the checkpoint of every epoch, from which a later call continues, and at the
    end the weights of the best validation score. Told to stop, it leaves a checkpoint within the
    epoch as soon as the batch is done.

    Args:
        model: timm's model, initialized.
        training: What to train on and how.
        folder: Where checkpoints lie.
        fabric: Of `vitrial.train.launch.launch`.
        on_epoch: Called after each epoch with the metrics of all epochs so far.

    Returns:
        For each epoch its rate, losses, validation metrics and seconds.

    Raises:
        VitrialError: The loss is no longer finite.
        Stopped: A signal asked for it.
    """
    recipe = training.recipe
    if fabric.world_size > 1:
        model = synchronize_batch_norm(model, fabric.device)
    model = model.to(memory_format=torch.channels_last)
    optimizer: Any = build_optimizer(model, recipe.optimizer, recipe.base_lr, recipe.weight_decay)
    network: Any = torch.compile(model) if recipe.compile else model
    network, optimizer = fabric.setup(network, optimizer)

    gain = ENDPOINTS[training.endpoint].gain
    history, best, part = load_checkpoint(folder, model, optimizer.optimizer)
    graphs = graphs_for(optimizer.optimizer, recipe, fabric)
    if history and fabric.world_size > 1:
        crop, share = training.augment.crop, recipe.batch_size // fabric.world_size
        inputs = torch.zeros(share, len(training.mean), crop, crop, device=fabric.device)
        lay_out_buckets(network, model, lambda: network(inputs).sum(), fabric)
    while len(history) < recipe.epochs and not exhausted(_gains(history, training), recipe):
        started = time.perf_counter() - (part.seconds if part else 0)
        with stops_put_off() as is_to_stop:
            watched = train_epoch(
                network, optimizer, training, history, fabric, part, is_to_stop, graphs
            )
            trained, part = time.perf_counter(), None
            if is_to_stop() and fabric.world_size == 1:  # several stop at batches of their own
                now = (history, training.seed, best, PartOfEpoch.of(watched, trained - started))
                save_checkpoint(folder, model, optimizer.optimizer, *now)
        losses = torch.stack([batch["loss"] for batch in watched])
        loss = float(mean_over_processes(losses.mean()))
        logits = _validate(model, training, len(history), fabric)
        row = _summary(training, history, loss, logits)
        row |= {"train_seconds": trained - started, "seconds": time.perf_counter() - started}
        if gain(row["score"]) > max((gain(r["score"]) for r in history), default=-math.inf):
            best = copy_of_weights(model)
        history.append(row)
        if fabric.is_global_zero:
            save_checkpoint(folder, model, optimizer.optimizer, history, training.seed, best)
            on_epoch(history)
    assert best is not None, "an epoch's score is a number, and every number exceeds minus infinity"
    if fabric.is_global_zero:
        save_weights(folder / WEIGHTS, best)
    fabric.barrier()
    return history


def train_epoch(
    network: Any,
    optimizer: Any,
    training: Training,
    history: History,
    fabric: Fabric,
    part: PartOfEpoch | None = None,
    is_to_stop: Callable[[], bool] = lambda: False,
    graphs: Graphs | None = None,
) -> list[State]:
    """One pass over the training images, from the pixel cache to optimizer steps.

    Args:
        network: The model, set up by `fabric`.
        optimizer: Likewise.
        training: What to train on and how.
        history: Of the epochs before.
        fabric: Device and precision.
        part: What is done of the epoch already.
        is_to_stop: Asked after each batch.
        graphs: Of the training, where its steps are replayed.

    Returns:
        The loss of each batch, those of `part` among them; not all if it was to stop.
    """
    recipe, epoch = training.recipe, len(history)
    images = training.data.images_of("train")
    before = history[-1]["steps"] if history else 0
    gains = _gains(history, training)
    weight = _class_weights(images.targets, len(training.data.classes), recipe)
    each = np.ones(len(training.data.classes)) if weight is None else weight.numpy()
    weight = None if weight is None else weight.to(fabric.device)
    order = training_order(images.targets, recipe, generator_of(training.seed, "order", epoch))
    of_rank = (fabric.global_rank,) if fabric.global_rank else ()  # its dropout differs
    torch.manual_seed(seed_of(training.seed, "dropout", epoch, *of_rank))
    network.train()

    def step(inputs: torch.Tensor, targets: torch.Tensor, share: float = 1.0) -> torch.Tensor:
        shares = (weight, recipe.clip_norm, fabric, training.task, share, recipe.accumulate)
        return train_step(network, optimizer, inputs, targets, *shares)

    watched = part.batches() if part else []
    done = len(watched)
    mine = [positions[share_of(len(positions))] for positions in order]
    for batch, (pixels, targets) in enumerate(
        load(images, mine[done:], training.workers, fabric.device), done
    ):
        if part and batch == done:
            part.restore_generators()  # only now: what loads may have drawn from them
        set_rate(optimizer, learning_rate(before + batch, gains, recipe))
        whole = images.targets[order[batch]]
        generator = generator_of(training.seed, "views", epoch, batch)
        inputs = training_views(pixels, training, generator, fabric, len(whole))
        targets = targets.to(fabric.device, non_blocking=True)
        if graphs:
            loss = graphs.take(step, inputs, targets)
        else:
            loss = step(inputs, targets, balance(each[whole]))
        watched.append({"loss": loss})
        if len(watched) % FINITE_EVERY == 0:
            _check_finite(watched[-FINITE_EVERY:], epoch, batch + 1 - FINITE_EVERY)
        if is_to_stop():
            break
    _check_finite(watched, epoch, 0)
    return watched


def training_views(
    pixels: torch.Tensor,
    training: Training,
    generator: torch.Generator,
    fabric: Fabric,
    whole: int | None = None,
) -> torch.Tensor:
    """Augmented and normalized views (n, channels, crop, crop) of uint8 images.

    `whole` is the size of the batch that the images are this process's share of.
    """
    whole = len(pixels) if whole is None else whole
    views = draw_views(training.augment, whole, pixels.shape[1], generator)[share_of(whole)]
    pixels = pixels.to(fabric.device, non_blocking=True)
    batch = augment_batch(pixels, views, training.augment.crop)
    return normalize_(batch, training.mean, training.std)


def _validate(model: nn.Module, training: Training, epoch: int, fabric: Fabric) -> np.ndarray:
    """Logits (n, classes) of the validation images."""
    model.eval()
    view = CentralView(training.augment.crop, training.mean, training.std, fabric.device)
    images, batch_size = training.data.images_of("val"), training.recipe.batch_size
    logits, _ = predict(model, images, view, fabric.autocast, batch_size, training.workers)
    if not np.isfinite(logits).all():
        raise VitrialError(_not_finite(f"The weights are no longer finite after epoch {epoch + 1}"))
    return logits


def _summary(
    training: Training, history: History, loss: float, logits: np.ndarray
) -> dict[str, Any]:
    """The row of metrics of an epoch; `score` is the endpoint, unrounded."""
    images, recipe = training.data.images_of("train"), training.recipe
    targets = training.data.images_of("val").targets
    before = history[-1]["steps"] if history else 0
    steps = before + -(-len(images) // recipe.batch_size)
    metrics = all_metrics(targets, logits)
    val_loss = training.task.loss(torch.from_numpy(logits), torch.from_numpy(targets))
    return {
        "epoch": len(history) + 1,
        "steps": steps,
        "lr": learning_rate(steps - 1, _gains(history, training), recipe),
        "train_loss": loss,
        "val_loss": float(val_loss),
        "score": metrics[training.endpoint],
        **{f"val_{name}": value for name, value in metrics.items()},
    }


def _gains(history: History, training: Training) -> list[float]:
    """The endpoint of the epochs since warm-up, higher is better."""
    gain, warmup_steps = ENDPOINTS[training.endpoint].gain, training.recipe.warmup_steps
    return [gain(row["score"]) for row in history if row["steps"] >= warmup_steps]


def _class_weights(targets: np.ndarray, classes: int, recipe: Recipe) -> torch.Tensor | None:
    """Inverse class frequencies (classes,), 1 on average over the images."""
    if recipe.class_weights == "none":
        return None
    counts = np.bincount(targets, minlength=classes)
    return torch.tensor(len(targets) / (classes * counts), dtype=torch.float32)


def _check_finite(watched: list[State], epoch: int, first: int) -> None:
    bad = first_not_finite([batch["loss"] for batch in watched])
    if bad is not None:
        where = f"The loss is no longer finite at batch {first + bad + 1} of epoch {epoch + 1}"
        raise VitrialError(_not_finite(where))


def _not_finite(what: str) -> str:
    return (
        f"{what}: lower recipe.base_lr, lengthen recipe.warmup_steps, or set recipe.precision to "
        "fp32. The checkpoint of the epoch before is kept."
    )
