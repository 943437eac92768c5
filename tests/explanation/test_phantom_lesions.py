"""Models that solve a task: their maps find the lesion better than maps that know nothing."""

from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import vitrial
from vitrial.compare.explanations import against_baselines

EXAMPLE = Path(__file__).parents[2] / "examples" / "phantom_masses.yaml"


@pytest.mark.slow
def test_maps_of_trained_models_beat_noise_and_a_blob_on_every_measure(tmp_path, pixel_caches):
    protocol, quiet = vitrial.load_protocol(EXAMPLE), Console(quiet=True)
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
