"""Checkpoints: all that a run needs to go on, in one atomic file that holds no code.

PyTorch writes a .zip whose members carry checksums (CRC-32), which it does not look at when it
loads them; `check_checkpoint` does. The checkpoint of the epoch before is kept beside the last.
"""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import save_file
from torch import nn

from vitrial.atomic import replacing
from vitrial.layout import CHECKPOINT, CHECKPOINT_BEFORE, CHECKPOINTS
from vitrial.records import reading
from vitrial.terminal import Stopped

History = list[dict[str, Any]]
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class PartOfEpoch:
    """How far an epoch had come when training was told to stop.

    Attributes:
        watched: Of its batches so far, what the row is the mean of: (batches,) by name.
        seconds: That they took.
        generators: The states of PyTorch's generators, of the CPU and of each GPU, which dropout
            draws from.
        row: What is known of the row of the epoch besides.
    """

    watched: State
    seconds: float
    generators: list[torch.Tensor]
    row: dict[str, Any]

    @staticmethod
    def of(
        watched: Sequence[State], seconds: float, row: dict[str, Any] | None = None
    ) -> PartOfEpoch:
        """The part of an epoch that is done now, from what was watched of each of its batches."""
        means = {name: torch.stack([w[name] for w in watched]).cpu() for name in watched[0]}
        gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return PartOfEpoch(means, seconds, [torch.get_rng_state(), *gpus], row or {})

    def batches(self) -> list[State]:
        """What was watched of each batch."""
        each = [values.unbind() for values in self.watched.values()]
        return [dict(zip(self.watched, values, strict=True)) for values in zip(*each, strict=True)]

    def restore_generators(self) -> None:
        """Put PyTorch's generators where they were."""
        cpu, *gpus = self.generators
        torch.set_rng_state(cpu)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: History,
    seed: int,
    best: State | None = None,
    part: PartOfEpoch | None = None,
) -> None:
    """Write a checkpoint; the one that was there is kept as the one before.

    Nothing else is needed: schedules are functions of the history, and generators are seeded
    anew for each epoch and step. The best weights lie in the same file as the history that names
    their epoch, so that no crash can leave those of another epoch beside it.

    Args:
        folder: The stage's.
        model: After the last epoch, or in the middle of the next.
        optimizer: Likewise.
        history: The metrics of the epochs so far.
        seed: Of the training, by which its checkpoints are known from others'.
        best: The weights of the best validation score so far, where they matter.
        part: Of the epoch after those, if it is under way.
    """
    content = {
        "seed": seed,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": history,
        "best": best,
        "part": part and asdict(part),
    }
    last = folder / CHECKPOINT
    if len(history) > 1 and not folder.is_dir():
        # Else the folder would be made anew, on the disk below the one that was taken away.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    with replacing(last, needs=_bytes_of(content)) as temporary:
        with temporary.open("wb") as file:  # to a path, PyTorch hides why it cannot write
            _save(content, file)
        if last.exists():
            last.replace(folder / CHECKPOINT_BEFORE)


def _save(content: dict[str, Any], file: BinaryIO) -> None:
    try:
        torch.save(content, file)
    except RuntimeError as error:
        # What ends it in the middle, PyTorch hides behind an error of the archive that it closes.
        if isinstance(error.__context__, Stopped | KeyboardInterrupt):
            raise error.__context__ from None
        raise


def load_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[History, State | None, PartOfEpoch | None]:
    """Put model and optimizer where the last checkpoint left them.

    Returns:
        The metrics of its epochs, the weights of the best validation score, and how far the next
        epoch had come; nothing of each, and model and optimizer as they were, where there is no
        checkpoint.
    """
    path = next(filter(Path.exists, map(folder.joinpath, CHECKPOINTS)), None)
    if path is None:
        return [], None, None
    content = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(content["model"])
    optimizer.load_state_dict(content["optimizer"])
    part = content.get("part")  # older programs wrote none
    return content["history"], content["best"], part and PartOfEpoch(**part)


def check_checkpoint(path: Path, seed: int, way_out: str) -> None:
    """Verify a checkpoint: every byte of it, and that it is of the training with this seed.

    Raises:
        DamagedError: It is missing or damaged, or of another training.
    """
    with reading(path, way_out):
        with zipfile.ZipFile(path) as members:
            if damaged := members.testzip():
                raise ValueError(damaged)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if content["seed"] != seed:
            raise ValueError("it is of another training")


def copy_of_weights(model: nn.Module) -> State:
    """The weights of a model as they are now, in the computer's memory."""
    return {
        name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()
    }


def save_weights(path: Path, state: State) -> None:
    """Write a plain state dict as safetensors, as timm loads it."""
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    with replacing(path, needs=_bytes_of(state)) as temporary:
        save_file(state, temporary)


def _bytes_of(content: Any) -> int:
    """Of all tensors within dictionaries and lists."""
    if isinstance(content, torch.Tensor):
        return content.nbytes
    if isinstance(content, dict):
        content = list(content.values())
    return sum(map(_bytes_of, content)) if isinstance(content, list) else 0
