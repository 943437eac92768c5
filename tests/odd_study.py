"""A study of image files, of gray images with masks of every odd kind and two small arms."""

import numpy as np
import pandas as pd
from PIL import Image

import vitrial

PROTOCOL = """
name: odd
data: {source: csv, root: data, table: table.csv, group: patient, mask: mask, on_problem: leave_out}
image: {resize: 40, channels: 1}
augment: {crop: 32, jitter: null}
split: {fractions: [0.4, 0.2, 0.4]}
arms:
  - backbone: [test_resnet, test_vit]
recipe: {base_lr: 1.0e-3, batch_size: 16, warmup_steps: 2, epochs: 1}
endpoint: balanced_accuracy
margin: 0.1
repetitions: 1
"""
ODD = {
    "empty": lambda: Image.fromarray(np.zeros((48, 64), dtype=np.uint8)),
    "other-size": lambda: Image.fromarray(_disc(24, 32)),
    "full": lambda: Image.fromarray(np.full((48, 64), 255, dtype=np.uint8)),
}


def _disc(height, width):
    y, x = np.mgrid[:height, :width]
    inside = (y / height - 0.5) ** 2 + (x / width - 0.5) ** 2 < 0.09
    return inside.astype(np.uint8) * 255


def write_odd_study(root, cache):
    """Gray images of two classes; every mask is odd in another way, and some are absent."""
    data, random = root / "data", np.random.default_rng(0)
    data.mkdir()
    rows = []
    for i in range(60):
        label, kind = ("light", "dark")[i % 2], ("none", "missing", "damaged", *ODD)[i // 2 % 6]
        pixels = random.integers(0, 100, (48, 64), dtype=np.uint8) + 100 * (i % 2 == 0)
        Image.fromarray(pixels.astype(np.uint8)).save(data / f"{i}.png")
        if kind in ODD:
            ODD[kind]().save(data / f"{i}-mask.png")
        elif kind == "damaged":
            (data / f"{i}-mask.png").write_bytes(b"no picture")
        mask = "" if kind == "none" else f"{i}-mask.png"
        rows.append((f"{i}.png", label, f"patient {i}", mask))
    pd.DataFrame(rows, columns=["image", "label", "patient", "mask"]).to_csv(
        data / "table.csv", index=False
    )
    (root / "odd.yaml").write_text(PROTOCOL)
    protocol = vitrial.load_protocol(root / "odd.yaml")
    return vitrial.run(protocol, root / "study", cache=cache, listen=lambda event: None)
