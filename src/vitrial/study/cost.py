"""What each backbone takes of this device: a short trial, apart from any training.

The wall-clock of runs is a poor measure: whatever else the machine does is in it. Here all
backbones take turns, several rounds of them, so that a busy moment hits all alike, and the median
round counts. Weights, images and labels are made up; no figure depends on them.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import psutil
import torch
from lightning_fabric import Fabric
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.flop_counter import FlopCounterMode

from vitrial.models.backbone import build_backbone
from vitrial.protocol import Protocol
from vitrial.records import Record
from vitrial.study.run import machine
from vitrial.train.launch import launch
from vitrial.train.optimizer import build_optimizer
from vitrial.train.step import train_step

ROUNDS, STEPS, LATENCIES = 3, 2, 10
"""Rounds, and in each: training steps, and single images, that are timed after one that is not."""
BATCH = 32
"""Images at a time, of the throughput of inference."""
CLASSES = 2
"""More make no difference worth mentioning."""


@dataclass(frozen=True)
class Cost:
    """What a backbone takes.

    Attributes:
        backbone: Its name.
        parameters: Their number, with a head of two classes.
        macs: Multiply-accumulate operations of one image, forward.
        training_bytes: Largest memory of a training step at the recipe's batch size: weights,
            gradients, optimizer and what the forward pass keeps.
        inference_bytes: Of 32 images.
        training_images_per_second: Of optimizer steps alone, without reading or augmenting.
        latency_ms: Of one image.
        images_per_second: Inference, 32 at a time.
        joules_per_training_image: Of the whole device; None where it does not tell.
    """

    backbone: str
    parameters: int
    macs: int
    training_bytes: int
    inference_bytes: int
    training_images_per_second: float
    latency_ms: float
    images_per_second: float
    joules_per_training_image: float | None


def measure_costs(protocol: Protocol, threads: int | None = None, rounds: int = ROUNDS) -> Record:
    """Try every backbone of a protocol.

    Args:
        protocol: The experiment: backbones, recipe, size and channels of images.
        threads: Of the CPU; PyTorch's own choice if left out.
        rounds: Turns that each backbone takes.

    Returns:
        `machine` (device, precision, threads), `batch_size`, `crop`, `busy` (load per core before
        the trial), and `rows`, a `Cost` as a dictionary each.
    """
    before = torch.get_num_threads()
    busy = psutil.getloadavg()[0] / (os.cpu_count() or 1)
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        fabric = launch(protocol.recipe.precision)
        names = list(dict.fromkeys(arm.model for arm in protocol.arms))
        turns: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _, name in itertools.product(range(rounds), names):
            trained = _training(name, protocol, fabric)
            turns[name].append(trained | _inference(name, protocol, fabric))
        rows = [_cost(name, protocol, turns[name]) for name in names]
        facts = {"batch_size": protocol.recipe.batch_size, "crop": protocol.augment.crop}
        return {"machine": asdict(machine(fabric)), **facts, "busy": busy, "rows": rows}
    finally:
        torch.set_num_threads(before)


class TrainingStep:
    """A step of a backbone's training on images that are made up; a call takes it.

    Args:
        name: Of the backbone.
        protocol: Its recipe, and the size and channels of images.
        fabric: Device and precision.
    """

    def __init__(self, name: str, protocol: Protocol, fabric: Fabric) -> None:
        self.recipe, self.fabric = protocol.recipe, fabric
        channels, crop = protocol.image.channels, protocol.augment.crop
        self.model = build_backbone(name, CLASSES, channels, crop)
        self.model = self.model.to(memory_format=torch.channels_last)
        optimizer: Any = build_optimizer(
            self.model, self.recipe.optimizer, self.recipe.base_lr, self.recipe.weight_decay
        )
        self.network, self.optimizer = fabric.setup(self.model, optimizer)
        self.network.train()
        n = self.recipe.batch_size
        self.inputs = torch.rand(n, channels, crop, crop, device=fabric.device)
        self.targets = torch.arange(n, device=fabric.device) % CLASSES

    def __call__(self) -> None:
        """Take the step; a GPU may still be at it afterwards."""
        train_step(
            self.network,
            self.optimizer,
            self.inputs,
            self.targets,
            None,
            self.recipe.clip_norm,
            self.fabric,
        )


def _training(name: str, protocol: Protocol, fabric: Fabric) -> dict[str, float]:
    """One round of steps of one backbone."""
    step = TrainingStep(name, protocol, fabric)
    images = STEPS * protocol.recipe.batch_size
    step()  # the optimizer's averages are there from now on
    found: dict[str, float] = {
        "training_bytes": _peak(step, fabric, step.model, step.optimizer.optimizer, step.inputs)
    }
    joules, started = _joules(fabric), time.perf_counter()
    for _ in range(STEPS):
        step()
    wait_for(fabric)
    found["training_images_per_second"] = images / (time.perf_counter() - started)
    if joules is not None:
        found["joules_per_training_image"] = ((_joules(fabric) or 0) - joules) / images
    return found


def _inference(name: str, protocol: Protocol, fabric: Fabric) -> dict[str, float]:
    """One round of predictions of one backbone."""
    channels, crop = protocol.image.channels, protocol.augment.crop
    model = build_backbone(name, CLASSES, channels, crop).to(memory_format=torch.channels_last)
    network: Any = fabric.setup_module(model).eval()
    many = torch.rand(BATCH, channels, crop, crop, device=fabric.device)
    with torch.inference_mode():
        network(many[:1])
        return {
            "inference_bytes": _peak(lambda: network(many), fabric, model, many),
            "images_per_second": BATCH / _seconds(lambda: network(many), fabric, STEPS),
            "latency_ms": 1000 * _seconds(lambda: network(many[:1]), fabric, LATENCIES),
        }


def _cost(name: str, protocol: Protocol, turns: list[dict[str, float]]) -> dict[str, Any]:
    medians = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
    for key in ("training_bytes", "inference_bytes"):
        medians[key] = int(medians[key])
    parameters, macs = size(name, protocol.image.channels, protocol.augment.crop)
    medians.setdefault("joules_per_training_image", None)  # type: ignore[arg-type]
    return asdict(Cost(name, parameters, macs, **medians))  # type: ignore[arg-type]


def size(name: str, channels: int, crop: int) -> tuple[int, int]:
    """Parameters, and multiply-accumulate operations of one image.

    Counted by PyTorch on tensors without content, where attention is two matrix products.
    """
    with torch.device("meta"), torch.inference_mode():
        model = build_backbone(name, CLASSES, channels, crop).eval()
        counter = FlopCounterMode(display=False)
        with counter:
            model(torch.empty(1, channels, crop, crop))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


def _peak(call: Callable[[], object], fabric: Fabric, *held: Any) -> int:
    """Bytes that are taken at most during a call, those of what is `held` among them.

    Of a GPU the allocator is asked; elsewhere every tensor is followed.
    """
    if fabric.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        call()
        return int(torch.cuda.max_memory_allocated())
    tracker = MemTracker()
    tracker.track_external(*held)
    with tracker:
        call()
    (peak,) = tracker.get_tracker_snapshot("peak").values()
    return int(peak["Total"])


def _seconds(call: Callable[[], object], fabric: Fabric, times: int) -> float:
    """Median seconds of a call, after one that does not count."""
    seconds = []
    for _ in range(times + 1):
        wait_for(fabric)
        started = time.perf_counter()
        call()
        wait_for(fabric)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def wait_for(fabric: Fabric) -> None:
    """Wait until the device has done what it was given."""
    if fabric.device.type == "cuda":
        torch.cuda.synchronize()


def _joules(fabric: Fabric) -> float | None:
    """What the GPU has used since its driver was loaded; None where nobody tells."""
    if fabric.device.type != "cuda" or find_spec("pynvml") is None:
        return None
    import pynvml

    wait_for(fabric)
    try:
        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(fabric.device).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except pynvml.NVMLError:  # older than Volta, or part of a card
        return None
