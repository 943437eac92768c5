"""What lies beside an exported program: what goes in, what comes out, and what was checked."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vitrial.export.check import Check
from vitrial.export.exported import Exported


def preparation(exported: Exported) -> list[str]:
    """How an image file becomes the pixels that the model was trained on, a sentence a step."""
    image, crop = exported.stage.image, exported.stage.augment.crop
    color = "RGB" if image.channels == 3 else "gray"
    trim = {
        "none": [],
        "fundus": ["Cut off the black margin around the fundus (vitrial's image.trim: fundus)."],
        "mammogram": ["Cut off the air beside the breast (vitrial's image.trim: mammogram)."],
    }[image.trim]
    low, high = image.window
    normalization = exported.result.normalization
    mean, std = (
        ", ".join(f"{v:.4f}" for v in values) for values in (normalization.mean, normalization.std)
    )
    return [
        f"Decode the image, turn it as its EXIF orientation says, and convert it to {color}, 8 "
        f"bits a channel; values of 16 bits are spread over {low:g} to {high:g}.",
        *trim,
        f"Resize it to {image.resize} x {image.resize} pixels, whatever its shape, with Pillow's "
        "bilinear filter.",
        f"Take the central {crop} x {crop} pixels.",
        f"Divide by 255, subtract the mean ({mean}) and divide by the standard deviation ({std}).",
    ]


INSIDE = 2
"""Of the steps of `preparation` the last ones, which exported programs do themselves."""


def description(exported: Exported, checked: Check, runs_in: str) -> dict[str, Any]:
    """The content of the JSON file beside an exported program."""
    run, image = exported.run, exported.stage.image
    steps = preparation(exported)
    return {
        "study": run.study.protocol.name,
        "protocol": run.study.facts.protocol,
        "backbone": exported.stage.arm.model,
        "repetition": run.entry.repetition,
        "runs_in": runs_in,
        "input": {
            "name": "images",
            "type": "uint8",
            "shape": ["batch", image.resize, image.resize, image.channels],
            "before": steps[:-INSIDE],
            "done_by_the_program": steps[-INSIDE:],
        },
        "outputs": {
            "logits": "float32 (batch, classes), as the run predicted them",
            "probabilities": (
                "float32 (batch, classes): softmax of the logits divided by the temperature, which "
                "was fitted on the validation images"
            ),
        },
        "temperature": exported.temperature,
        "classes": list(exported.result.classes),
        "check": asdict(checked),
        "limits": "For research; not a medical device.",
    }
