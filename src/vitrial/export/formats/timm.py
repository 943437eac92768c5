"""timm: the folder that `timm.create_model("local-dir:FOLDER", pretrained=True)` reads."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from timm.models import save_for_hf

from vitrial.atomic import replacing
from vitrial.export.exported import Exported

SUMMARY = "config.json and model.safetensors for timm.create_model"
FILES = ("model.safetensors", "config.json")
EXTRA = None
ORDER = 10


def write(exported: Exported, folder: Path) -> str:
    """Write weights and configuration, which timm's own functions make.

    `timm.data.create_transform` makes of the configuration the preparation of images in
    evaluation: resized to a square, the central crop, normalized.
    """
    stage, result = exported.stage, exported.result
    crop, normalization = stage.augment.crop, result.normalization
    data = {
        "input_size": (stage.image.channels, crop, crop),
        "mean": normalization.mean,
        "std": normalization.std,
        "interpolation": "bilinear",
        "crop_pct": crop / stage.image.resize,
        "crop_mode": "squash",
    }
    # What timm says of the architecture's own weights does not hold of these.
    config: dict[str, Any] = {"pretrained_cfg": {"tag": "", "license": "other", "origin_url": ""}}
    if exported.of is not None:
        config |= {"label_names": list(result.classes), "temperature": exported.temperature}
    with tempfile.TemporaryDirectory() as made:
        save_for_hf(exported.model, made, config, safe_serialization=True, data_config=data)
        for name in FILES:
            source = Path(made) / name
            with replacing(folder / name, needs=source.stat().st_size) as temporary:
                shutil.copyfile(source, temporary)
    return f'timm.create_model("local-dir:{folder}", pretrained=True)'
