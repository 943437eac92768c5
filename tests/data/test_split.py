import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrial.data.assign import assign_groups
from vitrial.data.split import SPLITS, split_hash, split_manifest
from vitrial.errors import DataError
from vitrial.protocol import Split


def manifest_of(labels, groups, **columns):
    images = [f"{i}.png" for i in range(len(labels))]
    return pd.DataFrame({"image": images, "label": labels, "group": groups, **columns})


@st.composite
def manifests(draw):
    """Every class has at least 3 groups; groups have 1 to 4 images, mostly of one class."""
    classes = draw(st.integers(2, 5))
    rows = []
    for c in range(classes):
        for g in range(draw(st.integers(3, 30))):
            rows += [(f"class {c}", f"{c}-{g}")] * draw(st.integers(1, 4))
    labels, groups = zip(*rows, strict=True)
    return manifest_of(list(labels), list(groups))


@settings(max_examples=60, deadline=None)
@given(manifests(), st.integers(0, 5))
def test_groups_are_whole_and_every_class_is_everywhere(manifest, seed):
    parts = split_manifest(manifest, Split(seed=seed))
    assert set(parts) == set(SPLITS)
    assert (parts.groupby(manifest["group"]).nunique() == 1).all()
    table = pd.crosstab(manifest["label"], parts)
    assert (table > 0).all(axis=None)


@settings(max_examples=60, deadline=None)
@given(manifests(), st.integers(0, 5))
def test_fractions_are_met_as_far_as_whole_groups_allow(manifest, seed):
    split = Split(seed=seed)
    parts = split_manifest(manifest, split)
    # Every class takes a group of up to 4 images to each split, whatever its fraction.
    allowed = 4 * manifest["label"].nunique()
    for name, fraction in zip(SPLITS, split.fractions, strict=True):
        assert abs((parts == name).sum() - fraction * len(manifest)) <= allowed


@settings(max_examples=60, deadline=None)
@given(manifests(), st.randoms(use_true_random=False))
def test_the_order_of_rows_is_irrelevant(manifest, random):
    order = list(range(len(manifest)))
    random.shuffle(order)
    manifest = manifest.assign(site=[f"site {i % 3}" for i in range(len(manifest))])
    split = Split(stratify=["site"])
    straight = split_manifest(manifest, split)
    shuffled = split_manifest(manifest.iloc[order].reset_index(drop=True), split)
    assert shuffled.tolist() == straight.iloc[order].tolist()


def test_twelve_images_of_six_patients_have_every_class_in_every_split():
    manifest = manifest_of(["a"] * 6 + ["b"] * 6, list("ppqqrrstuvvv"))
    for seed in range(20):
        parts = split_manifest(manifest, Split(seed=seed))
        assert (pd.crosstab(manifest["label"], parts) > 0).all(axis=None)
        assert (parts.groupby(manifest["group"]).nunique() == 1).all()


def repeated_groups(seed=0):
    """3,000 images of 1,500 groups of 1 to 30; the hospital of large groups differs."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.geometric(0.5, 1500), 30)
    site = np.where((sizes > 2) ^ (rng.random(1500) < 0.2), "north", "south")
    age = rng.integers(20, 90, 1500)
    groups, label = np.arange(1500).astype(str), rng.choice(list("abc"), 1500, p=[0.7, 0.2, 0.1])
    columns = {"site": site, "age": np.where(rng.random(1500) < 0.1, "", age.astype(str))}
    table = manifest_of(label.tolist(), groups.tolist(), **columns)
    manifest = table.loc[table.index.repeat(sizes)].reset_index(drop=True)
    return manifest.assign(image=[f"{i}.png" for i in range(len(manifest))])


@pytest.mark.parametrize("seed", range(5))
def test_group_sizes_are_alike_in_all_splits(seed):
    manifest = repeated_groups()
    parts = split_manifest(manifest, Split(fractions=(0.8, 0.1, 0.1), seed=seed))
    size = manifest["group"].map(manifest["group"].value_counts())
    per_group = [(parts == s).sum() / manifest["group"][parts == s].nunique() for s in SPLITS]
    assert np.ptp(per_group) < 0.1
    several = [(size[parts == s] > 1).mean() for s in SPLITS]
    assert np.ptp(several) < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_named_columns_are_alike_and_missing_values_are_a_level(seed):
    manifest = repeated_groups()
    split = Split(fractions=(0.8, 0.1, 0.1), stratify=["site", "age"], seed=seed)
    parts = split_manifest(manifest, split)
    age = pd.to_numeric(manifest["age"])
    for column in (manifest["site"] == "north", age.isna(), age <= age.median()):
        assert np.ptp([column[parts == s].mean() for s in SPLITS]) < 0.02


def test_a_column_that_names_every_image_spoils_nothing():
    manifest = repeated_groups()
    manifest["number"] = [f"n{i}" for i in range(len(manifest))]
    parts = split_manifest(manifest, Split(fractions=(0.8, 0.1, 0.1), stratify=["number"]))
    assert abs((parts == "train").mean() - 0.8) < 0.01


def test_an_unknown_column_is_named_with_those_there_are():
    manifest = manifest_of(["a", "b"] * 9, [str(i) for i in range(18)], sex="f", site="x")
    with pytest.raises(DataError, match=r"sexx.*did you mean sex.*columns: sex, site") as error:
        split_manifest(manifest, Split(stratify=["sexx", "label"]))
    (problem,) = error.value.problems
    assert "'label'" in problem.what
    with pytest.raises(DataError, match="It has none"):
        split_manifest(manifest[["image", "label", "group"]], Split(stratify=["sex"]))


def test_large_groups_come_into_every_split_as_often_as_others():
    manifest = repeated_groups()
    size = manifest.groupby("group").size()
    largest = size.nlargest(60).index
    shares = [
        split_manifest(manifest, Split(fractions=(0.8, 0.1, 0.1), seed=seed))
        .groupby(manifest["group"])
        .first()[largest]
        .value_counts(normalize=True)
        .get("test", 0)
        for seed in range(10)
    ]
    assert abs(np.mean(shares) - 0.1) < 0.03


@pytest.mark.parametrize("fractions", [(0.7, 0.15, 0.15), (0.8, 0.1, 0.1)])
def test_shares_are_met_to_the_image_without_groups(fractions):
    # The class counts of APTOS 2019.
    labels = np.repeat(list("01234"), [1805, 370, 999, 193, 295])
    manifest = manifest_of(labels, [str(i) for i in range(len(labels))])
    parts = split_manifest(manifest, Split(fractions=fractions))
    table = pd.crosstab(manifest["label"], parts)[list(SPLITS)]
    wanted = np.outer(table.sum(axis=1), fractions)
    assert np.abs(table.to_numpy() - wanted).max() <= 1


def test_shares_are_met_within_a_percent_with_groups():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 7, 1500)
    groups = np.repeat(np.arange(1500).astype(str), sizes)
    labels = np.repeat(rng.choice(list("abcdefg"), 1500, p=[0.67, *[0.33 / 6] * 6]), sizes)
    parts = split_manifest(manifest_of(labels, groups), Split(fractions=(0.8, 0.1, 0.1)))
    shares = parts.value_counts(normalize=True)[list(SPLITS)]
    assert np.abs(shares.to_numpy() - [0.8, 0.1, 0.1]).max() < 0.01


def test_another_seed_divides_otherwise():
    manifest = manifest_of(["a", "b"] * 50, [str(i) for i in range(100)])
    first, second = (split_manifest(manifest, Split(seed=seed)) for seed in (0, 1))
    assert (first != second).any()


def test_a_given_split_is_respected_and_completed():
    given_split = ["test"] * 20 + ["train"] * 80
    manifest = manifest_of(["a", "b"] * 50, [str(i) for i in range(100)], split=given_split)
    parts = split_manifest(manifest, Split(fractions=(0.6, 0.2, 0.2)))
    assert (parts[:20] == "test").all()
    assert not (parts[20:] == "test").any()
    assert (parts == "val").sum() == 20


def test_without_training_images_there_is_a_sentence():
    manifest = manifest_of(["a", "b"] * 5, list("abcdefghij"), split=["test"] * 10)
    with pytest.raises(DataError, match="cannot be drawn from train"):
        split_manifest(manifest, Split())


def test_ungrouped_split_may_divide_a_group():
    manifest = manifest_of(["a", "b"] * 50, ["same"] * 100)
    assert split_manifest(manifest, Split(grouped=False)).nunique() == 3


def test_every_class_that_is_too_small_is_named_at_once():
    labels = ["a"] * 30 + ["rare"] * 2 + ["single"]
    with pytest.raises(DataError) as error:
        split_manifest(manifest_of(labels, [str(i) for i in range(33)]), Split())
    assert {p.where for p in error.value.problems} == {"class rare", "class single"}


def test_rare_classes_reach_every_part():
    labels = np.array(["common"] * 97 + ["rare"] * 3)
    parts = assign_groups(labels, np.arange(100).astype(str), np.array([0.8, 0.1, 0.1]), 0)
    assert set(parts[97:]) == {0, 1, 2}


def test_hash_depends_on_content_alone():
    assert split_hash(["a", "b"], ["train", "val"]) == split_hash(["b", "a"], ["val", "train"])
    assert split_hash(["a", "b"], ["train", "val"]) != split_hash(["a", "b"], ["val", "train"])
