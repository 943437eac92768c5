import math

import numpy as np
import pandas as pd
import pytest

from vitrial.compare.explanations import (
    MEASURES,
    against_baselines,
    method_table,
    sanity_table,
)
from vitrial.compare.explanations import paired_table as paired_by

ARMS = {"vit": ["gradcam", "attention"], "cnn": ["gradcam", "input_gradient"]}
FAMILIES = {"vit": "transformer", "cnn": "cnn", "swin": "transformer", "coat": "hybrid"}
GRIDS = {"input_gradient": "32x32"}
"""Of maps; 4x4 else."""


def paired_table(measures):
    return paired_by(measures, ["attention", "rollout", "attribution", "gradcam"])


def measured(worth, images=60, repetitions=1, arms=ARMS, spread=0.0):
    """Rows whose measures are all `worth[backbone, method]` plus a number of the image's.

    The number is another one for each model and method, and each repetition adds `spread`.
    """
    rows = []
    for backbone, methods in arms.items():
        grids = {method: GRIDS.get(method, "4x4") for method in methods}
        noises = {f"random {grid}" for grid in grids.values()}
        for method in [*sorted(noises), *methods, "center"]:
            random = np.random.default_rng([*f"{backbone} {method}".encode()])
            own = 0.01 * random.normal(size=images)
            for repetition in range(1, repetitions + 1):
                for i in range(images):
                    value = worth.get((backbone, method), 0.1) + i / 1000 + own[i] - own.mean()
                    value += spread * (repetition - (repetitions + 1) / 2)
                    rows.append(
                        {
                            "arm": f"{backbone} / random",
                            "backbone": backbone,
                            "initialization": "random",
                            "family": FAMILIES[backbone],
                            "repetition": repetition,
                            "method": method,
                            "noise": f"random {grids[method]}" if method in grids else "",
                            "image": f"{i}.png",
                            "group": f"patient {i // 2}",
                            **dict.fromkeys(MEASURES, value),
                            "entropy": 0.5,
                            "detail": 8.0,
                            "milliseconds": 1.0 + i,
                        }
                    )
    return pd.DataFrame(rows)


def test_means_and_their_order():
    table = method_table(measured({("vit", "attention"): 0.6}))
    assert table[["arm", "method"]].to_numpy().tolist() == [
        *(["vit / random", m] for m in ("gradcam", "attention", "random 4x4", "center")),
        *(["cnn / random", m] for m in ("gradcam", "input_gradient")),
        *(["cnn / random", m] for m in ("random 32x32", "random 4x4", "center")),
    ]
    row = table.set_index(["arm", "method"]).loc["vit / random", "attention"]
    assert row["energy"] == pytest.approx(0.6 + np.mean(range(60)) / 1000)
    assert row["energy_low"] < row["energy"] < row["energy_high"]
    assert (row["images"], row["milliseconds"]) == (60, 30.5)


def test_what_was_not_measured_stays_unknown():
    measures = measured({})
    measures["deletion"] = math.nan
    measures.loc[measures["image"] != "3.png", "iou"] = math.nan
    table = method_table(measures)
    assert table["deletion"].isna().all()
    assert table["iou"].notna().all()
    assert table["iou_low"].isna().all(), "one group has no interval"
    pairs = paired_table(measures).set_index("measure")
    assert "deletion" not in pairs.index
    assert pairs.loc["iou", ["low", "high", "p"]].isna().all(axis=None)
    beats = against_baselines(measures).set_index("measure")["beats"]
    assert beats["iou"].isna().all(), "from one image nothing is said"


def test_pairs_are_of_the_same_images_and_deletion_turns_its_sign():
    pairs = paired_table(measured({("vit", "attention"): 0.3, ("cnn", "gradcam"): 0.2}))
    assert set(pairs["method"]) == {"attention", "gradcam"}
    assert (pairs["transformer"] + pairs["cnn"]).unique().tolist() == ["vitcnn"]
    attention = pairs[pairs["method"] == "attention"].set_index("measure")
    # The image's own part cancels: what is left is each map's own spread, of .01.
    for name in MEASURES:
        sign = -1 if name == "deletion" else 1
        row = attention.loc[name]
        assert row["difference"] == pytest.approx(0.1 * sign)
        assert 0.002 < row["high"] - row["low"] < 0.02
        assert row["low"] < row["difference"] < row["high"]
        assert row["p"] < 0.001
        assert row["images"] == 60


def test_faithfulness_of_two_models_is_compared_by_what_they_gain_over_noise():
    # The transformer is surer of everything, noise included, and its map gains nothing.
    sure = {("vit", method): 0.7 for method in ("gradcam", "attention", "random 4x4", "center")}
    pairs = paired_table(measured(sure | {("cnn", "gradcam"): 0.15}))
    attention = pairs[pairs["method"] == "attention"].set_index("measure")["difference"]
    assert attention["insertion"] == pytest.approx(-0.05)
    assert attention["deletion"] == pytest.approx(0.05)
    assert attention["energy"] == pytest.approx(0.55)


def test_repetitions_are_averaged_before_images_are_compared():
    once, thrice = (measured({("vit", "attention"): 0.3}, repetitions=n) for n in (1, 3))
    pd.testing.assert_frame_equal(paired_table(once), paired_table(thrice))
    pd.testing.assert_frame_equal(method_table(once), method_table(thrice))


def test_repetitions_that_differ_widen_the_interval():
    # .05 apart over three runs of each of two arms: V is at least 2 x .05^2 / 3, with 4 degrees.
    worth = {("vit", "attention"): 0.3}
    pairs = paired_table(measured(worth, repetitions=3, spread=0.05))
    alike = paired_table(measured(worth, repetitions=3))
    assert pairs["difference"].tolist() == pytest.approx(alike["difference"].tolist())
    energy = pairs[(pairs["measure"] == "energy") & (pairs["method"] == "attention")].iloc[0]
    assert energy["high"] - energy["difference"] == pytest.approx(2.776 * 0.0408, rel=0.02)
    gained = against_baselines(measured(worth, repetitions=3, spread=0.05))
    assert gained["high"].sub(gained["low"]).max() < 0.02, "in a run of its own, it cancels"


def test_p_values_are_adjusted_for_all_rows_of_a_table():
    # One difference of .0035 with a standard error of about .0018, and many others of none.
    measures = measured({("vit", "attention"): 0.1035})
    alone = measures[(measures["method"] != "gradcam") | (measures["backbone"] == "cnn")].copy()
    alone[[name for name in MEASURES if name != "energy"]] = math.nan
    one = paired_table(alone)
    assert len(one) == 1
    many = paired_table(measures)
    same = many[(many["method"] == "attention") & (many["measure"] == "energy")].iloc[0]
    assert same["difference"] == pytest.approx(one["difference"].iloc[0])
    assert len(many) == 12
    assert one["p"].iloc[0] < same["p"] <= 12 * one["p"].iloc[0] * (1 + 1e-9)


def test_the_family_decides_what_is_compared_not_the_methods_that_were_asked_for():
    arms = {"vit": ["gradcam"], "swin": ["gradcam"], "coat": ["gradcam"], "cnn": ["gradcam"]}
    pairs = paired_table(measured({}, arms=arms))
    assert set(zip(pairs["transformer"], pairs["cnn"], strict=True)) == {
        ("vit", "cnn"),
        ("swin", "cnn"),
    }


def test_each_map_is_compared_with_noise_as_coarse_as_itself():
    # Fine noise alone is worth .3: a map of pixels that is as good has gained nothing.
    worth = {("cnn", "input_gradient"): 0.3, ("cnn", "random 32x32"): 0.3}
    found = against_baselines(measured(worth)).set_index(["arm", "method", "measure", "baseline"])
    pixels = found.loc["cnn / random", "input_gradient", "insertion", "random"]
    assert pixels["difference"] == pytest.approx(0)
    assert not pixels["beats"]
    # Against one grid for both, the one would gain .2 or the other lose as much.
    coarse = found.loc["cnn / random", "gradcam", "insertion", "random"]
    assert coarse["difference"] == pytest.approx(0)


def test_what_beats_maps_that_know_nothing():
    worth = {("vit", "attention"): 0.3, ("vit", "center"): 0.3}
    found = against_baselines(measured(worth)).set_index(["arm", "method", "measure", "baseline"])
    beats = found["beats"]
    assert beats["vit / random", "attention", "energy", "random"]
    assert not beats["vit / random", "attention", "energy", "center"]
    assert not beats["vit / random", "attention", "deletion", "random"]
    assert not beats["cnn / random", "gradcam", "iou", "random"]
    assert len(found) == 4 * len(MEASURES) * 2


def test_without_transformers_or_cnns_there_are_no_pairs():
    measures = measured({})
    assert paired_table(measures[measures["backbone"] == "cnn"]).empty
    assert paired_table(measures[measures["backbone"] == "vit"]).empty


def test_a_map_that_stays_when_the_weights_are_random_fails():
    sanity = pd.DataFrame(
        [
            {"arm": "a", "method": method, "step": step, "layers": "x", "image": image,
             "correlation": value}
            for method, values in {"good": (1, 0.8, 0.1), "bad": (1, 0.6, 0.5)}.items()
            for step, value in enumerate(values)
            for image in ("1.png", "2.png")
        ]
    )  # fmt: skip
    table = sanity_table(sanity).set_index("method")
    assert table["final"].to_dict() == {"good": 0.1, "bad": 0.5}
    assert table["halfway"].to_dict() == {"good": 0.8, "bad": 0.6}
    assert table["passes"].to_dict() == {"good": True, "bad": False}
