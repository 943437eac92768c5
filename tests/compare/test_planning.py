import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from vitrial.compare.intervals import nested_effect
from vitrial.compare.outlook import needs, what_to_change
from vitrial.compare.planning import Design, Noise, noise_of

SPREAD = st.floats(0.001, 0.05)
NOISE = st.builds(Noise, st.tuples(SPREAD, SPREAD), st.tuples(SPREAD, SPREAD), SPREAD)
CLAIM = st.sampled_from(["superior", "equivalent", "non-inferior"])


def design(claim="superior", margin=0.02, noise=None, repetitions=5.0, alpha=0.05):
    return Design(claim, margin, alpha, noise or Noise((0.01, 0.01), (0, 0), 0), repetitions)


def test_without_patients_it_is_the_t_test_of_two_samples():
    """17 a group find a difference of one standard deviation with a power of 0.807 (Cohen 1988)."""
    noise = Noise((0.02, 0.02), (0, 0), 0)
    assert design(noise=noise, repetitions=17).power() == pytest.approx(0.807, abs=0.001)
    assert design(noise=noise).repetitions_needed() == 17
    assert design(noise=noise, repetitions=17).by_repetitions() == 1


def test_without_end_of_repetitions_patients_alone_decide():
    """Two one-sided tests at 2.5% with a power of 80%: 1.960 + 1.282 standard errors."""
    noise = Noise((0.01, 0.01), (0.01, 0.01), 0.004)
    limit = design("equivalent", noise=noise, repetitions=math.inf)
    reach = norm.ppf(0.975) + norm.ppf(0.9)
    assert limit.smallest() == pytest.approx(reach * 0.004, rel=1e-6)
    below, above = (replace(limit, repetitions=5, margin=m * reach * 0.004) for m in (0.99, 1.1))
    assert below.repetitions_needed() is None
    assert above.repetitions_needed() is not None
    assert what_to_change(below, 500).startswith("No number of repetitions can prove it")


def test_power_is_how_often_simulated_trials_prove_the_claim():
    noise, j, margin, studies = Noise((0.01, 0.02), (0.004, 0.004), 0.006), 6, 0.03, 4000
    generator = np.random.default_rng(1)
    proved = {"superior": 0, "equivalent": 0, "non-inferior": 0}
    s2 = noise.of_runs()
    shared = noise.patients**2 / 2  # each arm's part of tau^2, on top of nothing in common
    blocks = [np.full((j, j), shared) for _ in range(2)]
    covariance = np.block([[blocks[0], np.zeros((j, j))], [np.zeros((j, j)), blocks[1]]])
    for _ in range(studies):
        patients = noise.patients * generator.standard_normal()
        first, second = (math.sqrt(v) * generator.standard_normal(j) for v in s2)
        for claim in proved:
            truth = margin if claim == "superior" else 0.0
            effect = nested_effect(first + truth + patients, second, covariance)
            proved[claim] += {
                "superior": effect.low > 0,
                "non-inferior": effect.low > -margin,
                "equivalent": effect.low > -margin and effect.high < margin,
            }[claim]
    for claim, count in proved.items():
        expected = design(claim, margin, noise, j).power()
        # 4 standard errors of a share of 4,000, and what Satterthwaite leaves.
        assert count / studies == pytest.approx(expected, abs=0.04), claim


@given(CLAIM, NOISE, st.integers(2, 50), st.floats(0.01, 0.2))
def test_more_repetitions_a_wider_margin_or_alpha_never_hurt(claim, noise, repetitions, margin):
    one = design(claim, margin, noise, repetitions)
    for better in (
        replace(one, repetitions=repetitions * 2),
        replace(one, margin=margin * 1.5),
        replace(one, alpha=0.1),
    ):
        assert better.power() >= one.power() - 1e-6


@given(CLAIM, NOISE, st.integers(2, 20))
def test_what_is_needed_is_enough_and_no_more(claim, noise, repetitions):
    one = design(claim, 0.05, noise, repetitions)
    assert replace(one, margin=one.smallest() * 1.001).power() >= 0.8
    if (runs := one.repetitions_needed()) is not None:
        assert replace(one, repetitions=runs).power() >= 0.8
        assert runs == 2 or replace(one, repetitions=runs - 1).power() < 0.8
    if (factor := one.patients_needed()) is not None:
        assert replace(one, noise=noise.with_patients(factor)).power() >= 0.8


def test_patients_shrink_what_is_theirs_alone():
    noise = Noise((0.01, 0.02), (0.004, 0.006), 0.008)
    assert noise.with_patients(4) == Noise((0.01, 0.02), (0.002, 0.003), 0.004)


def test_runs_without_any_spread_need_nothing():
    same = design("equivalent", noise=Noise((0, 0), (0, 0), 0))
    assert (same.power(), same.smallest(), same.repetitions_needed()) == (1, 0, 2)
    assert design(repetitions=1).power() == 1, "of two trained models, on all patients"


def test_the_noise_of_runs_is_taken_apart_as_their_interval_is():
    generator = np.random.default_rng(2)
    first, second = 0.8 + 0.02 * generator.standard_normal((2, 5))
    parts = generator.standard_normal((10, 400)) + generator.standard_normal(400)
    covariance = np.cov(parts) * 1e-5
    noise, effect = noise_of(first, second, covariance), nested_effect(first, second, covariance)
    assert noise.patients**2 == pytest.approx(effect.case_variance)
    assert noise.of_runs() == pytest.approx(effect.repetition_variance)
    assert noise.error(5) == pytest.approx((effect.standard_error, effect.df))
    assert noise_of(first[:1], second, covariance[4:, 4:]) is None
    assert noise_of(first, second, covariance * math.nan) is None


def test_only_an_undecided_claim_needs_anything():
    from test_findings import ALIKE, CLEAR, one, registered, runs_of

    assert needs(one(runs_of(CLEAR))) == ""
    undecided = one(runs_of(ALIKE), registered("equivalent", margin=0.02))
    assert needs(undecided).startswith("To uphold it with 80% power if they are alike: ")
    wide = replace(undecided, registered=registered("superior", margin=0.9))
    assert needs(wide).startswith("Trials like this one uphold the claim in 100% of cases")
    assert needs(one(runs_of({"vit / imagenet": [2.0], "cnn / imagenet": [2.0]}))) == ""
