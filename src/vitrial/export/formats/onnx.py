"""ONNX: a program that onnxruntime and many other engines run, from pixels to probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from vitrial.atomic import replacing, write_json
from vitrial.export.check import check
from vitrial.export.description import description
from vitrial.export.exported import Exported

SUMMARY = "model.onnx and a JSON that describes it"
FILES = ("model.onnx", "model.onnx.json")
EXTRA = ("onnx", ("onnx", "onnxruntime", "onnxscript"))
ORDER = 30


def write(exported: Exported, folder: Path) -> str:
    """Write the program, once it answers as PyTorch does on test images.

    Central crop, normalization and temperature are in the program; the batch size is free.

    Raises:
        VitrialError: It answers otherwise.
    """
    import onnxruntime

    _, pixels = exported.test_images
    program = torch.onnx.export(
        exported.deployed,
        (pixels[:2],),
        input_names=["images"],
        output_names=["logits", "probabilities"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    for node in program.model.graph:
        node.metadata_props.clear()  # where in which file of this machine it was defined
    path = folder / FILES[0]
    with replacing(path) as temporary:
        program.save(str(temporary))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(
            temporary, options, providers=["CPUExecutionProvider"]
        )

        def answer(images: np.ndarray) -> np.ndarray:
            return np.asarray(session.run(["logits"], {"images": images})[0])

        checked = check(exported, path.name, answer)
    write_json(
        folder / FILES[1],
        description(exported, checked, f"ONNX; checked with onnxruntime {onnxruntime.__version__}"),
    )
    return checked.sentence(path.name)
