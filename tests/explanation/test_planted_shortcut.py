"""A mark in a corner that gives the class away: the maps have to show it."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

import vitrial
from vitrial.data.sources import load_dataset
from vitrial.protocol import PhantomData
from vitrial.study.images import drawn_images

SIDE, MARK = 96, 16
PROTOCOL = f"""
name: shortcut
data: {{source: csv, root: data, table: table.csv, group: patient}}
image: {{resize: {SIDE}}}
augment: {{crop: {SIDE}, scale: [1.0, 1.0], ratio: [1.0, 1.0], hflip: 0, vflip: 0, jitter: null}}
split: {{fractions: [0.6, 0.15, 0.25]}}
arms:
  - backbone: [resnet10t, vit_tiny_patch16_224]
recipe:
  {{optimizer: adamw, base_lr: 5.0e-4, weight_decay: 0.02, batch_size: 16, warmup_steps: 10,
   epochs: 12}}
endpoint: balanced_accuracy
repetitions: 1
"""


def trained_on(root, cache, marked):
    """A study of nevi and melanomas; where `marked`, each melanoma has a blue mark."""
    phantoms = PhantomData(source="phantom", patients=200, size=SIDE, classes=["nevus", "melanoma"])
    data = load_dataset(phantoms)
    (root / "data").mkdir(parents=True)
    rows = []
    for i, row in enumerate(data.manifest.to_dict("records")):
        pixels = np.array(Image.open(io.BytesIO(data.reader.read(row["image"]))))
        if marked and row["label"] == "melanoma":
            pixels[:MARK, :MARK] = (30, 60, 220)
        Image.fromarray(pixels).save(root / "data" / f"{i}.png")
        rows.append((f"{i}.png", row["label"], row["group"]))
    table = pd.DataFrame(rows, columns=["image", "label", "patient"])
    table.to_csv(root / "data" / "table.csv", index=False)
    (root / "shortcut.yaml").write_text(PROTOCOL)
    protocol = vitrial.load_protocol(root / "shortcut.yaml")
    return vitrial.run(protocol, root / "study", cache=cache, console=Console(quiet=True))


def corner_share(run, pixels, method):
    """Mean share of the maps' sum in the corner, twice as wide as the mark: 1/9 of the image."""
    trained = vitrial.load_model(run.path)
    images, melanoma = trained.view(pixels), trained.classes.index("melanoma")
    heat = vitrial.explain(trained.model, images, method, melanoma).upsampled(SIDE, SIDE)
    total = heat.sum(axis=(1, 2))
    corner = heat[:, : 2 * MARK, : 2 * MARK].sum(axis=(1, 2))
    return float(np.mean(corner[total > 0] / total[total > 0]))


@pytest.mark.slow
def test_every_method_sees_a_planted_shortcut(tmp_path, pixel_caches):
    clean = trained_on(tmp_path / "clean", pixel_caches, marked=False)
    marked = trained_on(tmp_path / "marked", pixel_caches, marked=True)
    assert (marked.table()["median"] == 1).all(), "the mark gives the class away"
    subject = drawn_images(marked, None, None, pixel_caches)
    pixels = subject.pixels(subject.rows.query("label == 'melanoma'"))
    tried = 0
    for (_, honest), (run, misled) in zip(clean.runs(), marked.runs(), strict=True):
        for method in vitrial.load_model(misled.path).methods:
            before, after = (corner_share(r, pixels, method) for r in (honest, misled))
            what = f"{method} of {run['backbone']}: {before:.3f} without the mark, {after:.3f} with"
            # Rollout dilutes all that the blocks do by what they pass on unchanged.
            assert after > before * (1.05 if method == "rollout" else 1.2), what
            assert after > 1 / 9, what
            tried += 1
    assert tried == 9
