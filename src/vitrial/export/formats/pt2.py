"""torch.export: a program that PyTorch runs without vitrial or timm; TorchScript's successor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from vitrial.atomic import replacing, write_json
from vitrial.export.check import check
from vitrial.export.description import description
from vitrial.export.exported import Exported

SUMMARY = "model.pt2 for torch.export.load, which superseded TorchScript, and a JSON"
FILES = ("model.pt2", "model.pt2.json")
EXTRA = None
ORDER = 20


def write(exported: Exported, folder: Path) -> str:
    """Write the program, once it answers as the model does on test images.

    Central crop, normalization and temperature are in the program; the batch size is free.

    Raises:
        VitrialError: It answers otherwise.
    """
    _, pixels = exported.test_images
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(exported.deployed, (pixels[:2],), dynamic_shapes=dynamic)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names files of this machine
    path = folder / FILES[0]
    with replacing(path) as temporary:
        torch.export.save(program, temporary)
        loaded = torch.export.load(temporary).module()

        def answer(images: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return np.asarray(loaded(torch.from_numpy(images))[0])

        checked = check(exported, path.name, answer)
    write_json(
        folder / FILES[1],
        description(exported, checked, f"torch.export.load of PyTorch {torch.__version__}"),
    )
    return checked.sentence(path.name)
