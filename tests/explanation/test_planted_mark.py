"""Phantoms with a mark that gives the class away: it is known what a map has to show."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

import vitrial
from vitrial.compare.bootstrap import grouped_mean
from vitrial.compare.explanations import LOCATED, against_baselines
from vitrial.data.sources import load_dataset
from vitrial.protocol import PhantomData
from vitrial.study.images import drawn_images

SIDE, MARK, CORNER = 96, 24, 32
"""Sides in pixels: of an image, of the mark, and of the corner that a coarse map smears it over."""
PROTOCOL = f"""
name: mark
data: {{source: csv, root: data, table: table.csv, group: patient, mask: mask}}
image: {{resize: {SIDE}}}
augment: {{crop: {SIDE}, scale: [1.0, 1.0], ratio: [1.0, 1.0], hflip: 0, vflip: 0, jitter: null}}
split: {{fractions: [0.6, 0.15, 0.25]}}
arms:
  - backbone: [resnet10t, vit_tiny_patch16_224]
recipe:
  {{optimizer: adamw, base_lr: 5.0e-4, weight_decay: 0.02, batch_size: 16, warmup_steps: 10,
   epochs: 10}}
endpoint: balanced_accuracy
repetitions: 1
"""


def trained_on(root, cache, *, informative, anywhere=False):
    """A study of nevi and melanomas, some with a blue mark, whose mask is that of the mark.

    The mark is on melanomas if it is `informative`, else on half of the images of either class; it
    is in a corner, or `anywhere`.
    """
    phantoms = PhantomData(source="phantom", patients=200, size=SIDE, classes=["nevus", "melanoma"])
    data, random = load_dataset(phantoms), np.random.default_rng(0)
    (root / "data").mkdir(parents=True)
    rows = []
    for i, row in enumerate(data.manifest.to_dict("records")):
        pixels = np.array(Image.open(io.BytesIO(data.reader.read(row["image"]))))
        y, x = random.integers(0, SIDE - MARK + 1, 2) if anywhere else (0, 0)
        mask, name = np.zeros((SIDE, SIDE), dtype=np.uint8), ""
        if row["label"] == "melanoma" if informative else random.random() < 0.5:
            pixels[y : y + MARK, x : x + MARK] = (30, 60, 220)
            mask[y : y + MARK, x : x + MARK] = 255
            name = f"{i}-mask.png"
            Image.fromarray(mask).save(root / "data" / name)
        Image.fromarray(pixels).save(root / "data" / f"{i}.png")
        rows.append((f"{i}.png", row["label"], row["group"], name))
    table = pd.DataFrame(rows, columns=["image", "label", "patient", "mask"])
    table.to_csv(root / "data" / "table.csv", index=False)
    (root / "mark.yaml").write_text(PROTOCOL)
    protocol = vitrial.load_protocol(root / "mark.yaml")
    return vitrial.run(protocol, root / "study", cache=cache, console=Console(quiet=True))


@pytest.mark.slow
def test_maps_of_models_that_solve_the_task_beat_noise_and_a_blob_on_every_measure(
    tmp_path, pixel_caches
):
    quiet = Console(quiet=True)
    study = trained_on(tmp_path, pixel_caches, informative=True, anywhere=True)
    assert (study.table()["median"] > 0.9).all(), "the mark gives the class away"
    methods = ["gradcam", "attention"]
    folder = vitrial.explain_study(
        study, None, methods=methods, faithful=False, cache=pixel_caches, console=quiet
    )
    beaten = against_baselines(pd.read_parquet(folder / "measures.parquet"))
    shown = {"resnet10t / random": "gradcam", "vit_tiny_patch16_224 / random": "attention"}
    located = beaten[
        beaten["measure"].isin(LOCATED) & (beaten["method"] == beaten["arm"].map(shown))
    ]
    assert len(located) == 2 * 4 * 2  # arms, measures, baselines
    lost = located[~located["beats"]]
    assert lost.empty, lost.to_string()


def corner_shares(run, pixels, method):
    """Share of each map's sum in the corner, which is 1/9 of the image."""
    trained = vitrial.load_model(run.path)
    images, melanoma = trained.view(pixels), trained.classes.index("melanoma")
    heat = vitrial.explain(trained.model, images, method, melanoma).upsampled(SIDE, SIDE)
    total, corner = (part.sum(axis=(1, 2)) for part in (heat, heat[:, :CORNER, :CORNER]))
    return np.divide(corner, total, out=np.full(len(heat), 1 / 9), where=total > 0)


@pytest.mark.slow
def test_every_method_sees_a_planted_shortcut(tmp_path, pixel_caches):
    honest = trained_on(tmp_path / "honest", pixel_caches, informative=False)
    misled = trained_on(tmp_path / "misled", pixel_caches, informative=True)
    assert (misled.table()["median"] > 0.9).all(), "the mark gives the class away"
    subject = drawn_images(misled, None, None, pixel_caches)
    marked = subject.rows.query("label == 'melanoma'")
    pixels = subject.pixels(marked)
    tried = 0
    for (_, before), (run, after) in zip(honest.runs(), misled.runs(), strict=True):
        for method in vitrial.load_model(after.path).methods:
            first, second = (corner_shares(r, pixels, method) for r in (before, after))
            moved = grouped_mean(second - first, marked["group"].to_numpy(), seed=0)
            what = f"{method} of {run['backbone']}: {first.mean():.3f} -> {second.mean():.3f}"
            assert moved.low > 0, f"{what}, {moved}"
            assert second.mean() > 1 / 9, what
            tried += 1
    assert tried == 9
