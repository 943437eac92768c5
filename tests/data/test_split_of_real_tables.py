"""The splits of three real tables, against what drawing whole groups by chance gives them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vitrial.data.split import SPLITS, split_manifest
from vitrial.protocol import Split

SHARED = Path(__file__).parents[3] / "shared" / "data"


def isic2019(folder):
    truth = pd.read_csv(folder / "ISIC_2019_Training_GroundTruth.csv", index_col="image")
    table = pd.read_csv(folder / "ISIC_2019_Training_Metadata.csv")
    label = truth.idxmax(axis=1).loc[table["image"]].to_numpy()
    lesion = table["lesion_id"]
    return table.assign(label=label, group=lesion.fillna(table["image"]), site=lesion.str[:3])


def ham10000(folder):
    table = pd.read_csv(folder / "HAM10000_metadata.csv")
    return table.rename(columns={"image_id": "image", "dx": "label", "lesion_id": "group"})


def cbis_ddsm(folder):
    kinds = ("mass", "calc")
    tables = [
        pd.read_csv(folder / f"{kind}_case_description_{part}_set.csv").assign(kind=kind)
        for kind in kinds
        for part in ("train", "test")
    ]
    table = pd.concat(tables, ignore_index=True).drop_duplicates("image file path")
    return table.rename(
        columns={"image file path": "image", "pathology": "label", "patient_id": "group"}
    )


READ = {"isic2019": isic2019, "ham10000": ham10000, "cbis-ddsm": cbis_ddsm}
NAMED = {
    "isic2019": ["site", "sex"],
    "ham10000": ["dx_type", "sex"],
    "cbis-ddsm": ["kind"],
}


@pytest.fixture(params=READ)
def name(request):
    if not (SHARED / request.param).is_dir():
        pytest.skip(f"{request.param} is not at {SHARED}")
    return request.param


def spread(values, parts):
    """The largest difference of the splits' means."""
    return np.ptp([values[parts == split].mean() for split in SPLITS])


@pytest.mark.parametrize("seed", range(3))
def test_train_validation_and_test_are_one_population(name, seed):
    manifest = READ[name](SHARED / name).reset_index(drop=True)
    split = Split(fractions=(0.8, 0.1, 0.1), stratify=NAMED[name], seed=seed)
    parts = split_manifest(manifest, split)
    assert (parts.groupby(manifest["group"]).nunique() == 1).all()
    shares = parts.value_counts(normalize=True)[list(SPLITS)].to_numpy()
    assert np.abs(shares - split.fractions).max() < 0.002
    size = manifest["group"].map(manifest["group"].value_counts())
    # Large groups first, by absolute deficit: 0.42 of HAM10000, 0.57 of ISIC 2019.
    assert spread(size > 1, parts) < 0.015
    per_group = [(parts == s).sum() / manifest["group"][parts == s].nunique() for s in SPLITS]
    assert max(per_group) / min(per_group) < 1.03
    for column in ("label", *NAMED[name]):
        for level in manifest[column].dropna().unique():
            assert spread(manifest[column] == level, parts) < 0.015, (column, level)
