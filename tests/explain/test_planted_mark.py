"""Phantoms with a mark that gives the class away: it is known what a map has to show."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import vitrial
from vitrial.compare.explanations import LOCATED, against_baselines, is_baseline, method_table
from vitrial.compare.group_means import FEWEST_GROUPS
from vitrial.data.sources import load_dataset
from vitrial.data.sources.phantom import PhantomData
from vitrial.explain.images import drawn_images, study_data
from vitrial.explain.measure import measure

SIDE, MARK = 96, 24
REPETITIONS = 3
"""Even a model that is never wrong may spread its attention: what holds on average is asked for."""
PROTOCOL = f"""
name: mark
data: {{source: csv, root: data, table: table.csv, mask: mask}}
image: {{resize: {SIDE}}}
augment: {{crop: {SIDE}, scale: [1.0, 1.0], ratio: [1.0, 1.0], hflip: 0, vflip: 0, jitter: null}}
split: {{fractions: [0.5, 0.1, 0.4]}}
arms:
  - backbone: [test_resnet, test_vit]
recipe:
  {{optimizer: adamw, base_lr: 5.0e-4, weight_decay: 0.02, batch_size: 16, warmup_steps: 10,
   epochs: 8}}
endpoint: balanced_accuracy
"""


def trained_on(root, cache, *, informative, repetitions):
    """A study of nevi and melanomas, some with a blue mark in a corner, whose mask is the mark's.

    The mark is on melanomas if it is `informative`, else on half of the images of either class.
    """
    phantoms = PhantomData(source="phantom", patients=200, size=SIDE, classes=["nevus", "melanoma"])
    data, random = load_dataset(phantoms), np.random.default_rng(0)
    (root / "data").mkdir(parents=True)
    rows = []
    for i, row in enumerate(data.manifest.to_dict("records")):
        pixels = np.array(Image.open(io.BytesIO(data.reader.read(row["image"]))))
        y, x = random.choice([0, SIDE - MARK], 2)
        mask, name = np.zeros((SIDE, SIDE), dtype=np.uint8), ""
        if row["label"] == "melanoma" if informative else random.random() < 0.5:
            pixels[y : y + MARK, x : x + MARK] = (30, 60, 220)
            mask[y : y + MARK, x : x + MARK] = 255
            name = f"{i}-mask.png"
            Image.fromarray(mask).save(root / "data" / name)
        Image.fromarray(pixels).save(root / "data" / f"{i}.png")
        rows.append((f"{i}.png", row["label"], name))
    table = pd.DataFrame(rows, columns=["image", "label", "mask"])
    table.to_csv(root / "data" / "table.csv", index=False)
    (root / "mark.yaml").write_text(f"{PROTOCOL}repetitions: {repetitions}\n")
    protocol = vitrial.load_protocol(root / "mark.yaml")
    return vitrial.run(protocol, root / "study", cache=cache, listen=lambda event: None)


def measured(study, cache):
    """What is measured of every method and baseline in every run, on test images with a mark."""
    subject = drawn_images(study, study_data(study, None, cache), None, None)
    subject = replace(subject, rows=subject.rows[subject.rows["mask"].fillna("") != ""])
    tables = []
    for run, folder in study.runs():
        trained = vitrial.load_model(folder.path)
        names = {"arm": run.arm, "repetition": run.repetition}
        tables += [
            measure(trained, subject, method, faithful=False).assign(method=method, **names)
            for method in (*trained.methods, *trained.baselines(trained.methods))
        ]
    return pd.concat(tables)


@pytest.fixture(scope="module")
def misled(tmp_path_factory, pixel_caches):
    """Measures of models that the mark misleads."""
    root = tmp_path_factory.mktemp("misled")
    study = trained_on(root, pixel_caches, informative=True, repetitions=REPETITIONS)
    assert (study.table()["median"] > 0.9).all(), "the mark gives the class away"
    return measured(study, pixel_caches)


OF_THE_CLASS = ("gradcam", "attribution", "integrated_gradients")
"""Methods that are asked about the class that the mark gives away."""


@pytest.mark.slow
def test_maps_of_models_that_solve_the_task_beat_noise_and_a_blob_on_every_measure(misled):
    beaten = against_baselines(misled)
    beaten = beaten[beaten["measure"].isin(LOCATED)].set_index(["arm", "method"])
    assert (beaten["images"] >= FEWEST_GROUPS).all(), "too few to show anything"
    for shown in (("test_resnet / random", "gradcam"), ("test_vit / random", "attribution")):
        rows = beaten.loc[[shown]]
        assert len(rows) == 4 * 2  # measures, baselines
        assert rows["beats"].all(), rows.to_string()
    # Where attention lies differs too much between three runs to be shown, but not on average.
    attention = beaten.loc[[("test_vit / random", "attention")]]
    assert len(attention) == 4 * 2
    assert (attention["difference"] > 0).all(), attention.to_string()


@pytest.mark.slow
def test_every_method_sees_a_planted_shortcut(misled, tmp_path, pixel_caches):
    study = trained_on(tmp_path, pixel_caches, informative=False, repetitions=1)
    honest, misled = (
        method_table(table[~table["method"].map(is_baseline)]).set_index(["arm", "method"])
        for table in (measured(study, pixel_caches), misled)
    )
    assert len(misled) == 9
    unmoved = honest["energy"].clip(lower=MARK**2 / SIDE**2)
    assert (misled["energy"] > unmoved).all(), misled["energy"].to_string()
    of_the_class = misled.index.get_level_values("method").isin(OF_THE_CLASS)
    assert of_the_class.sum() == 5
    low = misled["energy_low"][of_the_class]
    assert (low > unmoved[of_the_class]).all(), low.to_string()
