"""The device of a run, and the precision that it computes in."""

from __future__ import annotations

import logging
import os
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch.utils import deterministic


def launch(precision: Literal["bf16", "fp32"], devices: int = 1, nodes: int = 1) -> Fabric:
    """The device (a GPU if there is one) at a precision, set to repeat its bits.

    With several devices this is one of as many processes, and waits for the others: see
    `vitrial.study.ranks`.

    Args:
        precision: Of the recipe. A device without bf16 instructions computes in float32 instead,
            which is faster than to emulate them.
        devices: Of each node, that train one model together.
        nodes: Whose devices do so.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # asked for by cuBLAS
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, for debugging
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it greets every launch
    plugin: Any = "bf16-mixed" if precision == "bf16" and computes_bf16() else "32-true"
    together = devices * nodes > 1
    # Not Slurm's environment, which Fabric would take for its own wherever it finds `srun`.
    fabric = Fabric(
        strategy="ddp" if together else "auto",
        devices=devices,
        num_nodes=nodes,
        precision=plugin,
        plugins=LightningEnvironment(),
    )
    if together:
        fabric.launch()
    return fabric


def computes_bf16() -> bool:
    """Whether the device of runs has instructions for bf16: Ampere or later, AVX-512, some ARM."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    # PyTorch's own test for its bf16 kernels; autocast itself takes the slow way without a word.
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
