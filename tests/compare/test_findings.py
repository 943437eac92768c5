import json
import math

import numpy as np
import pandas as pd
import pytest

from vitrial.compare.cautions import Run
from vitrial.compare.findings import Registered, find, p_of_claim
from vitrial.compare.intervals import Effect
from vitrial.compare.predictions import compare_predictions
from vitrial.compare.sentences import by_pair, outcome, render, sentence
from vitrial.compare.simulation import draw_logits, draw_test_set

A, B = "vit / imagenet", "cnn / imagenet"


def registered(claim="superior", endpoint="balanced_accuracy", margin=0.05, family="f", **keys):
    stated = {"treatment": A, "control": B, "alpha": 0.05}
    return Registered(
        claim=claim, endpoint=endpoint, margin=margin, family=family, **(stated | keys)
    )


def runs_of(qualities, images=300, shares=(0.5, 0.3, 0.2), seed=0, group=None):
    """Runs by arm, whose qualities are given for each."""
    generator = np.random.default_rng(seed)
    test = draw_test_set(images, shares, (1, 2), generator)
    flat = [(arm, q) for arm, of_arm in qualities.items() for q in of_arm]
    logits = draw_logits(test, [q for _, q in flat], generator)
    facts = {"image": np.arange(len(test.targets)), "target": test.targets, "group": test.groups}
    found, counts = [], dict.fromkeys(qualities, 0)
    for (arm, _), run in zip(flat, logits, strict=True):
        counts[arm] += 1
        table = pd.DataFrame(facts | {f"logit_{c}": run[:, c] for c in range(len(shares))})
        found.append(Run(arm, counts[arm], table))
    return found


def one(runs, comparison=None, planned=3):
    (finding,) = find([comparison or registered()], runs, planned)
    return finding


def effect(difference, error, df=10):
    reach = 2 * error
    ends = (difference - reach, difference + reach)
    return Effect(difference, error, df, *ends, (0, 0), (0, 0), 0, 0, (3, 3))


CLEAR = {A: [3.0, 3.1, 2.9], B: [1.0, 1.1, 0.9]}
ALIKE = {A: [2.0, 2.05, 1.95], B: [2.0, 2.02, 1.98]}


def test_it_says_what_the_comparison_of_two_files_says():
    runs = runs_of(CLEAR)
    found = one(runs)
    tables = [run.test for run in runs]
    other = compare_predictions(tables[:3], tables[3:], endpoint="recall", margin=0.05)
    assert found.effect == other.effect
    assert found.verdict == other.verdict == "superior"
    assert found.probability == other.probability_of_improvement == 1


def test_one_matrix_serves_every_pair():
    """Comparing two arms is the same whatever other arms the study has."""
    alone, others = runs_of(ALIKE), runs_of(ALIKE | {"other / random": [1.0, 1.2]})
    assert one(alone).effect.low == pytest.approx(one(others).effect.low, abs=0.05)
    rest = [run for run in others if run.arm != "other / random"]
    assert one(rest).effect.low == pytest.approx(one(others).effect.low, abs=1e-12)


@pytest.mark.parametrize(
    ("claim", "margin", "expected"),
    [
        ("superior", 0.05, "upheld"),
        ("non-inferior", 0.05, "upheld"),
        ("equivalent", 0.05, "not upheld"),
    ],
)
def test_claims_of_a_clear_difference(claim, margin, expected):
    assert one(runs_of(CLEAR), registered(claim, margin=margin)).outcome == expected


def test_claims_against_the_better_arm_are_not_upheld():
    swapped = {"treatment": B, "control": A}
    for claim in ("superior", "equivalent", "non-inferior"):
        assert one(runs_of(CLEAR), registered(claim, **swapped)).outcome == "not upheld"


def test_a_gain_that_does_not_matter_is_equivalent_and_not_superior():
    runs = runs_of(ALIKE)
    assert one(runs, registered("equivalent", margin=0.9)).outcome == "upheld"
    assert one(runs, registered("superior", margin=0.9)).outcome == "not upheld"
    assert one(runs, registered("superior", margin=0.001)).outcome == "undecided"


def test_lower_is_better_for_log_loss():
    found = one(runs_of(CLEAR), registered("superior", "log_loss"))
    assert found.effect.difference < 0
    assert (found.verdict, found.outcome) == ("superior", "upheld")
    assert "(lower is better)" in sentence(found)


@pytest.mark.parametrize("claim", ["superior", "equivalent", "non-inferior"])
@pytest.mark.parametrize("difference", [-0.03, 0.0, 0.01, 0.03])
def test_a_p_value_is_small_where_the_interval_says_so(claim, difference):
    """Known from t at its 97.5% point, by which the ends are set here for 10 degrees."""
    reach, margin = 2.2281388519649385 * 0.01, 0.025
    low, high = difference - reach, difference + reach
    holds = {
        "superior": low > 0,
        "non-inferior": low > -margin,
        "equivalent": low > -margin and high < margin,
    }[claim]
    p = p_of_claim(claim, effect(difference, 0.01), margin, True)
    assert (p < 0.025) == holds
    mirrored = p_of_claim(claim, effect(-difference, 0.01), margin, False)
    assert mirrored == pytest.approx(p), "where lower is better, signs are turned"


def test_p_of_equivalence_is_the_larger_one_sided_p():
    found = effect(0.01, 0.01)
    both = (found.p_above(-0.02), found.p_below(0.02))
    assert p_of_claim("equivalent", found, 0.02, True) == max(both)


def test_claims_are_adjusted_within_their_family_alone():
    runs = runs_of({A: [2.6, 2.65, 2.55], B: [2.0, 2.05, 1.95]}, images=150)
    alone, *_ = find([registered(family="x")], runs, 3)
    family = [registered("superior", margin=m / 100, family="x") for m in range(1, 6)]
    adjusted = find([*family, registered(family="y")], runs, 3)
    assert adjusted[-1].p_adjusted == alone.p
    assert max(f.p_adjusted for f in adjusted[:5]) == pytest.approx(min(1, 5 * alone.p))
    assert [f.claims for f in adjusted] == [5] * 5 + [1]


def test_what_only_holms_adjustment_takes_away_is_said():
    runs = runs_of({A: [2.6, 2.65, 2.55], B: [2.0, 2.05, 1.95]}, images=150)
    p = find([registered()], runs, 3)[0].p
    alpha = 2 * p * 1.5
    pair = [registered(alpha=alpha), registered("superior", margin=0.06, alpha=alpha)]
    found = find(pair, runs, 3)[0]
    assert (found.p <= alpha / 2, found.outcome) == (True, "undecided")
    assert outcome(found).endswith("alone it would be upheld.")


def test_alpha_sets_the_level_of_the_interval():
    runs = runs_of(ALIKE)
    wide, narrow = one(runs, registered(alpha=0.01)).effect, one(runs, registered(alpha=0.2)).effect
    assert wide.low < narrow.low < narrow.high < wide.high


# What has no answer, or half of one.


def test_a_single_run_each_speaks_of_these_models_and_has_no_probability():
    found = one(runs_of({A: [2.5], B: [1.5]}), planned=1)
    assert sentence(found).startswith("Of these two trained models, with ImageNet weights, vit")
    assert math.isnan(found.probability)
    assert any("single run" in caution for caution in found.cautions)


def test_an_arm_without_runs_cannot_be_compared():
    found = one(runs_of({A: [2.5, 2.4]}))
    assert (found.effect, found.verdict, found.outcome) == (None, "inconclusive", "undecided")
    assert "cannot be compared yet" in sentence(found)
    assert f"{B} has no finished run." in found.cautions
    assert one([]).effect is None
    assert "cannot be compared yet" in render([found], [], "terminal")


def test_unequal_numbers_of_runs_are_said():
    found = one(runs_of({A: [2.5, 2.4], B: [1, 1.1, 1.2]}))
    assert found.runs == (2, 3)
    assert any("has 2 of 3 runs" in caution for caution in found.cautions)
    assert "to be read with caution" in sentence(found)


def test_ties_count_by_half():
    runs = runs_of({A: [2, 2], B: [2, 2]})
    same = [Run(run.arm, run.repetition, runs[0].test) for run in runs]
    found = one(same, registered("equivalent"), planned=2)
    assert found.probability == 0.5
    assert (found.effect.difference, found.verdict, found.outcome) == (0, "equivalent", "upheld")


def test_constant_answers_are_cautioned_about():
    runs = runs_of(ALIKE)
    constant = [
        Run(r.arm, r.repetition, r.test.assign(logit_0=0.0, logit_1=9.0, logit_2=1.0)) for r in runs
    ]
    found = one(constant, registered("equivalent", "quadratic_kappa"))
    assert found.effect.difference == 0
    assert any("learned nothing" in caution for caution in found.cautions)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_runs_with_scores_that_are_not_finite_are_left_out_and_said(bad):
    runs = runs_of(CLEAR)
    runs[0] = Run(A, 1, runs[0].test.assign(logit_0=bad))
    found = one(runs)
    assert found.runs == (2, 3)
    assert any(c.startswith(f"Left out: {A}, repetition 1") for c in found.cautions)


@pytest.mark.parametrize(
    "change",
    [
        lambda test: test.iloc[1:],
        lambda test: test.assign(target=(test["target"] + 1) % 3),
        lambda test: test.assign(group=0),
        lambda test: test.assign(image=test["image"] + 1),
        lambda test: test.drop(columns="logit_2"),
    ],
)
def test_runs_of_other_images_targets_or_classes_are_left_out_and_said(change):
    runs = runs_of(CLEAR)
    runs[4] = Run(B, 2, change(runs[4].test))
    found = one(runs)
    assert found.runs == (3, 2)
    assert any(c.startswith(f"Left out: {B}, repetition 2") for c in found.cautions)


def test_the_order_of_images_is_irrelevant():
    runs = runs_of(ALIKE)
    mixed = [
        Run(r.arm, r.repetition, r.test.sample(frac=1, random_state=i)) for i, r in enumerate(runs)
    ]
    assert one(mixed).effect.low == pytest.approx(one(runs).effect.low)


def test_a_class_of_one_patient_has_no_interval_and_says_why():
    runs = runs_of(CLEAR)
    group = runs[0].test["group"].where(runs[0].test["target"] != 2, 999)
    found = one([Run(r.arm, r.repetition, r.test.assign(group=group)) for r in runs])
    assert (found.verdict, found.outcome) == ("inconclusive", "undecided")
    assert "[no interval]" in sentence(found)
    assert any("needs more of that class" in caution for caution in found.cautions)
    assert found.effect.difference > 0


@pytest.mark.parametrize("endpoint", ["roc_auc", "balanced_accuracy", "quadratic_kappa"])
def test_one_class_in_the_test_split_is_said(endpoint):
    runs = runs_of(ALIKE)
    found = one(
        [Run(r.arm, r.repetition, r.test.assign(target=0)) for r in runs],
        registered(endpoint=endpoint),
    )
    assert any("class" in caution for caution in found.cautions)
    assert found.outcome != "upheld"


def test_few_patients_in_all_or_of_a_class_are_cautioned_about():
    few = one(runs_of(ALIKE, images=20))
    assert any("too few for an interval" in caution for caution in few.cautions)
    rare = one(runs_of(ALIKE, images=300, shares=(0.6, 0.39, 0.01)))
    assert any("1 class has as few as" in c for c in rare.cautions)
    assert one(runs_of(ALIKE)).cautions == ()


# In words.


def test_claims_of_one_pair_share_a_sentence():
    pair = [registered("equivalent", family="paper"), registered("superior", family="on par")]
    other = registered(margin=0.2)
    found = find([*pair, other], runs_of(ALIKE), 3)
    assert [len(same) for same in by_pair(found)] == [2, 1]
    text = render(found, [], "terminal")
    assert text.count("With ImageNet weights, ") == 2
    assert max(map(len, text.splitlines())) <= 80


def test_a_sentence_reads_as_a_clinician_would_write_it():
    found = one(runs_of(CLEAR))
    low, high, difference = found.effect.low, found.effect.high, found.effect.difference
    assert sentence(found) == (
        "With ImageNet weights, vit is superior to cnn on your images: balanced accuracy "
        f"{difference:+.3f} [{low:+.3f}, {high:+.3f}], margin 0.050."
    )


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("random", "From scratch, "),
        ("timm", "With timm's weights, "),
        ("file:w.pth", "With the weights of w.pth, "),
        ("transfer:fundus+dino", "Pretrained on fundus, then self-supervised by DINO, "),
        ("imagenet+byol", "With ImageNet weights, then self-supervised by BYOL, "),
    ],
)
def test_every_initialization_has_words(start, words):
    a, b = f"vit / {start}", f"cnn / {start}"
    runs = runs_of({a: [2, 2.1, 1.9], b: [2, 2.1, 1.9]})
    assert sentence(one(runs, registered(treatment=a, control=b))).startswith(words)


def test_an_arm_with_an_id_has_its_initialization_in_words():
    runs = runs_of({"vit-tuned": [2, 2.1, 1.9], "cnn / imagenet": [2, 2.1, 1.9]})
    told = registered(treatment="vit-tuned", control="cnn / imagenet", starts=("imagenet", ""))
    assert sentence(one(runs, told)).startswith("With ImageNet weights, vit-tuned is not inferior")


def test_arms_of_different_initializations_keep_their_whole_names():
    a, b = "vit / imagenet", "cnn / random"
    found = one(runs_of({a: [3, 3.1, 2.9], b: [1, 1, 1.1]}), registered(treatment=a, control=b))
    assert sentence(found).startswith("vit / imagenet is superior to cnn / random on your images")


def test_json_has_no_nan_and_csv_every_digit():
    found = [one(runs_of(CLEAR)), one(runs_of({A: [2.0]}))]
    content = json.loads(render(found, ["Protocol amended"], "json"))
    assert content["notes"] == ["Protocol amended"]
    assert content["comparisons"][1]["low"] is None
    assert "NaN" not in render(found, [], "json")
    assert repr(found[0].effect.low) in render(found, [], "csv")
    assert render(found, [], "markdown").count("\n| vit / imagenet |") == 2


def test_a_protocol_without_comparisons_is_said():
    assert "registers no comparison" in render([], [], "terminal")
    assert "registers no comparison" in render([], [], "markdown")
    assert json.loads(render([], [], "json"))["comparisons"] == []
