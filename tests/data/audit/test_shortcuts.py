import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from scipy.stats import bootstrap

from vitrial.data.audit.audit import audit_dataset
from vitrial.data.audit.shortcuts import balanced_accuracy_bound, find_shortcuts
from vitrial.data.sources import load_dataset
from vitrial.data.sources.folder import FolderData
from vitrial.data.sources.phantom import PhantomData
from vitrial.protocol import Image

PER_CLASS = 30


def picture(seed, side=24, border=None, form="PNG", tint=0):
    generator = np.random.default_rng(seed)
    coarse = generator.integers(60, 180, (5, 5, 3), dtype=np.uint8)
    pixels = np.array(Pillow.fromarray(coarse).resize((side, side), Pillow.Resampling.BICUBIC))
    pixels = np.clip(pixels.astype(int) + tint, 0, 255).astype(np.uint8)
    if border is not None:
        pixels[[0, 1, -1, -2]] = border
        pixels[:, [0, 1, -1, -2]] = border
    content = io.BytesIO()
    Pillow.fromarray(pixels).save(content, form)
    return content.getvalue()


PLANTED = {  # family: what gives classes 0 and 1 away
    "image size": lambda c, i: picture(i, side=24 + 8 * c + i % 3),
    "border pixels": lambda c, i: picture(i, border=(20 + 10 * (i % 5), 40, 90 + 60 * c)),
    "file metadata": lambda c, i: picture(i, form="JPEG" if c else "PNG"),
    "mean color": lambda c, i: picture(i, tint=-50 if c else 50),
    None: lambda c, i: picture(i),
}


@pytest.mark.parametrize("family", PLANTED)
def test_a_planted_shortcut_is_suspicious(family, tmp_path):
    for c in (0, 1):
        (tmp_path / f"set/class {c}").mkdir(parents=True)
        for i in range(PER_CLASS):
            # Both suffixes in both classes: the file's content is what gives it away.
            name = f"set/class {c}/{i}.{'jpg' if i % 2 else 'png'}"
            (tmp_path / name).write_bytes(PLANTED[family](c, 1000 * c + i))
    dataset = load_dataset(FolderData(source="folder", root=tmp_path / "set"))
    audit = audit_dataset(dataset, Image(resize=24), tmp_path / "cache")
    found = {shortcut.family for shortcut in audit.shortcuts if shortcut.suspicious}
    told = [problem for problem in audit.problems if "shortcut" in problem.what]
    assert len(audit.shortcuts) == 4
    assert len(told) == len(found)
    assert not any(problem.fatal for problem in audit.problems)
    if family is None:
        assert not found
    else:
        assert family in found
        assert any(family in problem.what for problem in told)


@pytest.mark.parametrize("task", ["dermoscopy", "fundus", "mammogram"])
def test_phantoms_have_no_shortcut(task, tmp_path):
    dataset = load_dataset(PhantomData(source="phantom", task=task, patients=60, size=40))
    audit = audit_dataset(dataset, Image(resize=40), tmp_path)
    assert [shortcut.suspicious for shortcut in audit.shortcuts] == [False] * 3
    others = [problem for problem in audit.problems if "mask" not in problem.what]
    assert others == [] or task == "mammogram"  # which has more than 8 bits


def measured(n, generator, label):
    """A table as `measure` gives it, whose mean color says much of a group."""
    group = np.arange(n) // 3
    tone = generator.normal(size=n // 3 + 1)[group] + 0.01 * generator.normal(size=n)
    columns = {"mean_0": tone, "std_0": tone**2, "border_top_std": generator.normal(size=n)}
    columns |= {"width": 9, "height": 9, "aspect": 1.0, "bytes": 100, "mode": "L", "suffix": ""}
    names = [f"{i}.png" for i in range(n)]
    return pd.DataFrame({"image": names, "label": label, "group": group.astype(str), **columns})


def test_images_of_a_group_that_are_alike_are_no_shortcut():
    # Every group has a color of its own and one label, at random: an image tells that of another
    # one in its group, so cross-validation that parted groups would see near 1.
    generator = np.random.default_rng(0)
    label = generator.choice(["a", "b", "c"], 100)[np.arange(300) // 3]
    shortcuts = find_shortcuts(measured(300, generator, label))
    assert not any(shortcut.suspicious for shortcut in shortcuts)
    assert {s.family: s.score for s in shortcuts}["image size"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_labels_are_no_shortcut(seed):
    generator = np.random.default_rng(seed)
    table = measured(60, generator, generator.permutation(["a", "b"] * 30))
    assert not any(shortcut.suspicious for shortcut in find_shortcuts(table))


def test_the_figures_do_not_depend_on_the_order_of_rows():
    generator = np.random.default_rng(1)
    table = measured(90, generator, ["a", "b", "c"] * 30)
    assert find_shortcuts(table) == find_shortcuts(table.sample(frac=1, random_state=0))


@pytest.mark.parametrize("labels", [["a"] * 12, ["a"] * 11 + ["b"]])
def test_too_few_groups_are_not_judged(labels):
    assert find_shortcuts(measured(12, np.random.default_rng(0), labels)) == []


def test_the_bound_agrees_with_a_bootstrap_over_groups():
    generator = np.random.default_rng(0)
    label = np.repeat([0, 1], 400)
    right = generator.random(800) < np.where(label, 0.55, 0.8)
    score, lower = balanced_accuracy_bound(right, label, np.arange(800))
    samples = (right[:400].astype(float), right[400:].astype(float))

    def mean_recall(a, b, axis):
        return (a.mean(axis=axis) + b.mean(axis=axis)) / 2

    reference = bootstrap(
        samples, mean_recall, alternative="greater", rng=generator, n_resamples=2000
    )
    assert score == pytest.approx((samples[0].mean() + samples[1].mean()) / 2)
    assert lower == pytest.approx(reference.confidence_interval.low, abs=0.01)


def test_images_of_one_group_are_no_more_evidence_than_one():
    label = np.array([0, 0, 1, 1])
    right = np.ones(4, dtype=bool)
    once = balanced_accuracy_bound(right, label, np.arange(4))
    assert (
        balanced_accuracy_bound(np.repeat(right, 9), np.repeat(label, 9), np.arange(36) // 9)
        == once
    )
    assert once[0] == 1
    assert once[1] < 0.7, "two groups a class, all told right, prove little"


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_bound_lies_below_the_score_unless_that_is_worse_than_guessing(classes, n, seed):
    generator = np.random.default_rng(seed)
    label = np.arange(classes * n) % classes
    right = generator.random(len(label)) < generator.random()
    score, lower = balanced_accuracy_bound(right, label, np.arange(len(label)))
    assert 0 <= lower <= 1
    assert lower < max(score, 1 / classes)
