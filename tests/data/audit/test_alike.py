import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrial.data.audit.alike import compare_splits, note_on
from vitrial.data.levels import levels
from vitrial.data.split import SPLITS, split_manifest
from vitrial.protocol import Split


def manifest_of(patients=300, seed=0):
    """1 to 4 images of each patient, of two hospitals; numbers as texts, as a CSV gives them."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, patients)
    table = pd.DataFrame(
        {
            "label": rng.choice(["healthy", "ill"], patients),
            "group": [f"p{i}" for i in range(patients)],
            "site": rng.choice(["north", "south"], patients),
            "age": rng.integers(20, 90, patients).astype(str),
            "number": [f"n{i}" for i in range(patients)],
            "device": "one",
        }
    )
    table = table.loc[table.index.repeat(sizes)].reset_index(drop=True)
    return table.assign(image=[f"{i}.png" for i in range(len(table))])


def given_split(manifest, test):
    """Train and val by chance, and test where a condition holds."""
    chance = np.random.default_rng(1).random(manifest["group"].nunique()) < 0.85
    train = dict(zip(manifest["group"].unique(), chance, strict=True))
    split = np.where(test, "test", np.where(manifest["group"].map(train), "train", "val"))
    return manifest.assign(split=split)


def test_figures_are_counts_and_shares_of_each_split():
    manifest = manifest_of()
    manifest = manifest.assign(split=split_manifest(manifest, Split()))
    figures = {(figure.what, figure.level): figure for figure in compare_splits(manifest)}
    for split in SPLITS:
        part = manifest[manifest["split"] == split]
        assert figures["images", ""].values[split] == len(part)
        assert figures["groups", ""].values[split] == part["group"].nunique()
        ratio = len(part) / part["group"].nunique()
        assert figures["images per group", ""].values[split] == pytest.approx(ratio)
        several = part["group"].map(manifest["group"].value_counts()) > 1
        share = figures["groups of", "several images"].values[split]
        assert share == pytest.approx(several.mean())
        share = figures["class", "ill"].values[split]
        assert share == pytest.approx((part["label"] == "ill").mean())
    columns = list(dict.fromkeys(what for what, _ in figures))
    assert columns[4:] == ["class", "site", "age"], "without names and columns of one value"
    assert sum(what == "age" for what, _ in figures) == 4


def test_a_split_that_vitrial_draws_differs_in_nothing():
    manifest = manifest_of()
    for seed in range(5):
        split = Split(seed=seed, stratify=["site"])
        figures = compare_splits(manifest.assign(split=split_manifest(manifest, split)))
        assert note_on(figures, "set") == []


def test_another_hospital_in_test_is_said_with_its_shares():
    manifest = manifest_of()
    north = manifest["site"] == "north"
    odd = manifest["group"].str[1:].astype(int) % 3 == 0
    split = given_split(manifest, north & odd)
    (note,) = note_on(compare_splits(split), "my set")
    assert note.where == "my set"
    assert not note.fatal
    assert "more than chance, most in site north" in note.what
    assert "100.0 % in test" in note.what


def test_patients_photographed_often_in_train_alone_are_said():
    manifest = manifest_of()
    single = manifest["group"].map(manifest["group"].value_counts()) == 1
    figures = compare_splits(given_split(manifest, single))
    differing = {figure.what for figure in figures if figure.differs}
    assert {"images per group", "groups of"} <= differing
    assert note_on(figures, "set")


def test_few_patients_differ_by_chance_and_nothing_is_said():
    manifest = manifest_of(12)
    last = manifest["group"].isin(["p10", "p11"])
    split = np.where(last, "test", np.where(manifest["group"] == "p9", "val", "train"))
    figures = compare_splits(manifest.assign(split=split))
    assert not any(figure.differs for figure in figures)


def test_splits_by_chance_are_seldom_said_to_differ():
    manifest = manifest_of(60)
    flagged = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        drawn = dict(zip(manifest["group"].unique(), rng.choice(SPLITS, 60), strict=True))
        figures = compare_splits(manifest.assign(split=manifest["group"].map(drawn)))
        flagged += any(figure.differs for figure in figures)
    assert flagged <= 3, "of 60, each in about one case of 200"


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_figure(random):
    manifest = manifest_of(40)
    manifest = manifest.assign(split=split_manifest(manifest, Split()))
    order = list(range(len(manifest)))
    random.shuffle(order)
    again = compare_splits(manifest.iloc[order])
    for one, other in zip(compare_splits(manifest), again, strict=True):
        assert (one.name, one.differs) == (other.name, other.differs)
        assert one.apart == pytest.approx(other.apart, abs=1e-6)


def test_a_column_may_be_called_like_a_figure():
    manifest = manifest_of().rename(columns={"site": "images", "device": "class"})
    manifest["class"] = manifest["images"]
    figures = compare_splits(manifest.assign(split=split_manifest(manifest, Split())))
    names = [figure.name for figure in figures]
    assert {"images north", "class north", "class ill"} <= set(names)
    shown = {figure.name: figure.shown("test") for figure in figures}
    assert shown["images north"].endswith(" %")


def test_images_divided_one_by_one_and_a_single_split():
    manifest = manifest_of()
    split = split_manifest(manifest, Split(grouped=False))
    assert compare_splits(manifest.assign(split=split))
    assert compare_splits(manifest.assign(split="train")) == []


def test_levels_are_words_bands_of_numbers_and_unknown():
    words = levels(pd.Series(["b", None, "a", "NA", " "]))
    assert words.tolist() == ["b", "unknown", "a", "unknown", "unknown"]
    assert words.cat.categories.tolist() == ["a", "b", "unknown"]
    few = levels(pd.Series([1.0, 2.0, np.nan]))
    assert few.tolist() == ["1.0", "2.0", "unknown"]
    bands = levels(pd.Series([*range(1, 101), None]))
    assert bands.value_counts(sort=False).to_dict() == {
        "up to 25": 25,
        "25 to 50": 25,
        "50 to 75": 25,
        "over 75": 25,
        "unknown": 1,
    }
    assert levels(pd.Series(["1", "2", *map(str, range(12)), "n/a"])).iloc[-1] == "unknown"
    assert levels(pd.Series([f"{i} years" for i in range(20)])).nunique() == 20
