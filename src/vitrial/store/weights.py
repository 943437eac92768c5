"""Weights out of a study, as a plain file that timm loads without vitrial."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from vitrial.atomic import replacing
from vitrial.errors import VitrialError
from vitrial.layout import RESULT
from vitrial.models.backbone import pretrained_cfg
from vitrial.outputs import refuse_existing
from vitrial.store.run_folder import RunFolder


def export_weights(folder: Path, out: Path, overwrite: bool = False) -> str:
    """Write a finished stage's weights as safetensors, with what is needed to use them.

    The file's metadata say, as JSON, backbone, classes, side and channels of the input, and the
    mean and standard deviation by which it is normalized.

    Args:
        folder: A run's or pretraining's folder.
        out: The file to write; ends in .safetensors.
        overwrite: Whether it may be there already.

    Returns:
        The Python expression that builds the model from the file.

    Raises:
        VitrialError: The folder holds no finished stage or a damaged one, or `out` is there.
    """
    if out.suffix != ".safetensors":
        raise VitrialError(f"{out} must end in .safetensors, by which timm knows the format.")
    refuse_existing(out, overwrite)
    stage = RunFolder(folder)
    if not stage.is_finished:
        raise VitrialError(f"{folder} is not the folder of a finished run. {_finished(folder)}")
    what, result = stage.stage(), stage.result()
    about = {
        "backbone": what.arm.model,
        "classes": result.classes,
        "channels": what.image.channels,
        "crop": what.augment.crop,
        **asdict(result.normalization),
    }
    metadata = {name: json.dumps(value) for name, value in about.items()}
    weights = stage.weights()
    with replacing(out, needs=weights.stat().st_size) as temporary:
        save_file(load_file(weights), temporary, metadata={"format": "pt", **metadata})
    return _expression(about, out)


def _expression(about: dict[str, Any], out: Path) -> str:
    options = [repr(about["backbone"]), f"num_classes={len(about['classes'])}"]
    options += [f"in_chans={about['channels']}"] * (about["channels"] != 3)
    if pretrained_cfg(about["backbone"]).fixed_input_size:
        options.append(f"img_size={about['crop']}")
    return f"timm.create_model({', '.join(options)}, checkpoint_path={str(out)!r})"


def _finished(folder: Path) -> str:
    """The finished stages below a folder, as a sentence."""
    found = sorted(path.parent for path in folder.glob(f"*/*/{RESULT}"))
    if not found:
        return "There is none in it."
    return "Name one of those in it:" + "".join(f"\n  {path}" for path in found)
