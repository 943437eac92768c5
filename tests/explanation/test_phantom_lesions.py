"""Models that solve a task: their maps find the lesion better than maps that know nothing."""

import pandas as pd
import pytest
from rich.console import Console

import vitrial
from vitrial.compare.explanations import against_baselines

PROTOCOL = """
name: masses
data: {source: phantom, task: mammogram, patients: 500, size: 128}
image: {resize: 128, channels: 1}
augment: {crop: 128, scale: [0.8, 1.0], jitter: null}
split: {fractions: [0.6, 0.15, 0.25]}
arms:
  - backbone: [resnet10t, xcit_nano_12_p16_224]
recipe:
  {optimizer: adamw, base_lr: 1.0e-3, weight_decay: 0.02, batch_size: 32, warmup_steps: 30,
   epochs: 10}
endpoint: roc_auc
repetitions: 1
"""


@pytest.mark.slow
def test_maps_of_trained_models_beat_noise_and_a_blob_on_every_measure(tmp_path, pixel_caches):
    (tmp_path / "masses.yaml").write_text(PROTOCOL)
    protocol, quiet = vitrial.load_protocol(tmp_path / "masses.yaml"), Console(quiet=True)
    study = vitrial.run(protocol, tmp_path / "study", cache=pixel_caches, console=quiet)
    assert (study.table()["median"] > 0.7).all(), "a mass is told from none"
    methods = ["gradcam", "attention"]
    folder = vitrial.explain_study(
        study, None, methods=methods, faithful=False, cache=pixel_caches, console=quiet
    )
    beaten = against_baselines(pd.read_parquet(folder / "measures.parquet"))
    shown = {"resnet10t / random": "gradcam", "xcit_nano_12_p16_224 / random": "attention"}
    located = beaten[
        beaten["measure"].isin(("pointing", "energy", "precision", "iou"))
        & (beaten["method"] == beaten["arm"].map(shown))
    ]
    assert len(located) == 2 * 4 * 2  # arms, measures, baselines
    lost = located[~located["beats"]]
    assert lost.empty, lost.to_string()
