"""A small part of benchmarks/calibration.py: how often intervals hold a truth that is known."""

import numpy as np
import pytest

from vitrial.compare.intervals import nested_effect
from vitrial.compare.jackknife import jackknife
from vitrial.compare.simulation import draw_logits, draw_test_set

STUDIES = 200


@pytest.mark.parametrize("spread", [0.0, 0.3])
@pytest.mark.parametrize("endpoint", ["quadratic_kappa", "balanced_accuracy", "roc_auc"])
def test_intervals_hold_the_true_difference_as_often_as_they_say(endpoint, spread):
    """Two arms of 3 runs are equally good; patients have 1 to 3 images; runs differ, or do not."""
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(STUDIES):
        test = draw_test_set(150, (0.3, 0.3, 0.4), (1, 3), generator)
        qualities = 2 + spread * generator.standard_normal(6)
        logits = draw_logits(test, qualities, generator, ordered=endpoint == "quadratic_kappa")
        runs = jackknife(endpoint, test.targets, logits, test.groups)
        effect = nested_effect(runs.scores[:3], runs.scores[3:], runs.covariance)
        held += effect.low <= 0 <= effect.high
    # Three standard errors of a share of 200 below 95%.
    assert 0.90 <= held / STUDIES < 1
