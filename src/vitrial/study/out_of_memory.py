"""What to say when a step exceeds the memory of the device: the batch that would have fitted."""

from __future__ import annotations

import gc
import math

import torch
from lightning_fabric import Fabric

from vitrial.protocol import Recipe
from vitrial.store.stage import Stage
from vitrial.study.footprint import network_and_loss
from vitrial.train.optimizer import build_optimizer


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, or the computer, had no more memory to give."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def out_of_memory_sentence(stage: Stage, fabric: Fabric) -> str:
    """What exceeded the memory, what would fit, and what to do.

    Smaller batches are tried, so that nothing of the failed training may be in memory any more.
    """
    recipe, size = stage.recipe, stage.recipe.batch_size
    parts = recipe.accumulate if isinstance(recipe, Recipe) else 1
    at_once = math.ceil(size / parts / fabric.world_size)
    what = f"{stage.arm.backbone} exceeds the memory of the device at {at_once:,} images at once"
    if (fits := largest_that_fits(stage, fabric, at_once)) is None:
        return f"{what}, and at a single one: choose a smaller backbone or augment.crop."
    way = f"set batch_size: {fits * fabric.world_size * parts}, which is another training"
    way += f", or divide the batch with --devices {math.ceil(size / fits)}"
    if isinstance(recipe, Recipe):
        parts = math.ceil(size / fabric.world_size / fits)
        way += (
            f", or compute it in parts with accumulate: {parts}, after which batch normalization "
            "sees a part at a time"
        )
    return f"{what}, and {fits:,} fit (found by halving): {way}."


def largest_that_fits(stage: Stage, fabric: Fabric, images: int) -> int | None:
    """How many images fit into a step, found by halving; None if a single one is too much."""
    while images > 1:
        images //= 2
        if _fits(stage, fabric, images):
            return images
    return None


def _fits(stage: Stage, fabric: Fabric, images: int) -> bool:
    """Whether a step of so many images fits, tried on images that are made up."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    try:
        take_step(stage, fabric, images)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def take_step(stage: Stage, fabric: Fabric, images: int) -> None:
    """A step of a stage's training, on images that are made up."""
    recipe = stage.recipe.model_copy(update={"batch_size": images})
    channels, crop = stage.image.channels, stage.augment.crop
    with fabric.device:
        network, loss = network_and_loss(stage.arm.model, recipe, channels, crop)
        network = network.to(memory_format=torch.channels_last).train()
        optimizer = build_optimizer(network, recipe.optimizer, 0.0, 1e-5)
        with fabric.autocast():
            value = loss(network)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
