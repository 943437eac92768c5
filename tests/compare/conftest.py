"""Imaginary runs, for the tests of secondary analyses."""

import numpy as np
import pandas as pd
import pytest

from vitrial.compare.aligned import align
from vitrial.compare.simulation import draw_logits, draw_test_set


def draw_runs(images=240, classes=2, per_group=3, qualities=(2.0, 2.2, 1.4, 1.2), seed=0):
    """Predictions of two runs of each of two arms, and the manifest."""
    generator = np.random.default_rng(seed)
    tables, manifests = [[] for _ in qualities], []
    for split in ("val", "test"):
        shares = [1 / classes] * classes
        test = draw_test_set(images, shares, (1, per_group), generator)
        n = len(test.targets)
        base = pd.DataFrame(
            {
                "image": [f"{split}{i:04d}.png" for i in range(n)],
                "label": [f"class{t}" for t in test.targets],
                "group": [f"{split}-p{g}" for g in test.groups],
                "split": split,
                "target": test.targets,
            }
        )
        by_group = generator.integers(2, size=test.groups.max() + 1)[test.groups]
        age = generator.integers(20, 60, size=test.groups.max() + 1)[test.groups]
        manifests.append(base.assign(sex=np.where(by_group, "female", "male"), age=age, row=0))
        for table, run in zip(tables, draw_logits(test, qualities, generator), strict=True):
            table.append(base.assign(**{f"logit_{c}": run[:, c] for c in range(classes)}))
    arms = ("new", "new", "old", "old")
    runs = [
        (f"{arm}, repetition {i % 2 + 1}", arm, pd.concat(table, ignore_index=True))
        for i, (arm, table) in enumerate(zip(arms, tables, strict=True))
    ]
    return runs, pd.concat(manifests, ignore_index=True)


def draw_aligned(**options):
    """Validation and test of `draw_runs`."""
    runs, manifest = draw_runs(**options)
    return align(runs, "val"), align(runs, "test", manifest)


@pytest.fixture
def runs_of():
    return draw_runs


@pytest.fixture
def aligned():
    return draw_aligned
