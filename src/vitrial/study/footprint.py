"""What a training takes of memory and disk, found without training.

A step's forward pass is run on torch's fake tensors, which have shapes, types and a device but no
content. What it keeps for the backward pass is exact, since torch itself is asked; what kernels
need on top is not known. `benchmarks/step_memory.py` compares it with what steps really take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from vitrial.models.backbone import build_backbone
from vitrial.protocol import Recipe, SelfSupervision
from vitrial.tasks import TASKS
from vitrial.train.launch import computes_bf16
from vitrial.train.selfsupervised.build import build_siamese

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Footprint:
    """What a training takes, in bytes.

    Attributes:
        weights: The file that it leaves.
        checkpoint: Everything that learns, with Adam's two averages: of the file while it trains,
            and of memory likewise.
        kept: What the forward pass of a batch keeps for the backward pass; None where it cannot be
            run without computing it.
    """

    weights: int
    checkpoint: int
    kept: int | None

    @property
    def step(self) -> int:
        """Memory that a step takes at the least."""
        return self.checkpoint + (self.kept or 0)


@cache
def footprint(name: str, recipe: Recipe | SelfSupervision, channels: int, crop: int) -> Footprint:
    """What training a backbone takes.

    Args:
        name: timm's name.
        recipe: Batch size and precision; of self-supervision also views and heads.
        channels: Input channels.
        crop: Side of the input in pixels.
    """
    with torch.device("meta"):
        network, loss = network_and_loss(name, recipe, channels, crop)
    learning = sum(p.nbytes for p in network.parameters() if p.requires_grad)
    backbone = network if isinstance(recipe, Recipe) else network.teacher.backbone
    return Footprint(
        weights=_bytes_of(backbone),
        checkpoint=_bytes_of(network) + 2 * learning,
        kept=_kept_bytes(network, loss, recipe.precision == "bf16" and computes_bf16()),
    )


def free_memory() -> int:
    """Bytes that a run may take: of the GPU's memory, if there is one."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    return min([int(psutil.virtual_memory().available), *_left_by_control_groups()])


def network_and_loss(
    name: str, recipe: Recipe | SelfSupervision, channels: int, crop: int
) -> tuple[Any, Callable[[Any], torch.Tensor]]:
    """The network that a step trains, and the loss that it gives for a batch."""
    n = recipe.batch_size
    if isinstance(recipe, Recipe):
        # A head of two classes; more make no difference worth mentioning.
        return build_backbone(name, 2, channels, crop), lambda network: TASKS["multiclass"].loss(
            network(torch.empty(n, channels, crop, crop)), torch.zeros(n, dtype=torch.long)
        )
    siamese = build_siamese(recipe, name, channels, crop)
    sizes = [size for _, size in siamese.views]
    return siamese, lambda network: network(
        [torch.empty(n, channels, size, size) for size in sizes], 0
    )[0]


def _bytes_of(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in module.state_dict().values())


def _kept_bytes(network: nn.Module, loss: Callable[[Any], torch.Tensor], bf16: bool) -> int | None:
    """Bytes of the tensors that a forward pass keeps, apart from the parameters."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    kept: dict[int, torch.Tensor] = {}  # held, so that no other storage takes its place

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    try:
        with FakeTensorMode(allow_non_fake_inputs=True), torch.device(device):
            network = network.to_empty(device=device).train()
            with (
                torch.autocast(device, torch.bfloat16, enabled=bf16),
                torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            ):
                loss(network)
    except Exception:  # an architecture may look at values, and there are none
        return None
    own = {p.untyped_storage()._cdata for p in network.parameters()}
    return sum(t.untyped_storage().nbytes() for place, t in kept.items() if place not in own)


def _left_by_control_groups() -> list[int]:
    """What this process may take by the limit of its container or of a scheduler, if any."""
    try:
        place = Path("/proc/self/cgroup").read_text().partition("0::")[2].partition("\n")[0]
    except OSError:
        return []
    group = CGROUPS / place.lstrip("/")
    groups = [folder for folder in (group, *group.parents) if folder.is_relative_to(CGROUPS)]
    return [left for folder in groups if (left := _left_by(folder)) is not None]


def _left_by(group: Path) -> int | None:
    try:
        limit = int((group / "memory.max").read_text())  # the word `max` where there is none
        used = int((group / "memory.current").read_text())
        facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # Files that were read count as used, and give way when memory is asked for.
        return limit - used + int(facts["inactive_file"])
    except (OSError, ValueError, KeyError):
        return None
