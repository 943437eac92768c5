import math

import numpy as np
import pandas as pd
import pytest

from vitrial.compare.explanations import (
    MEASURES,
    against_baselines,
    method_table,
    paired_table,
    sanity_table,
)

ARMS = {"vit": ["gradcam", "attention"], "cnn": ["gradcam", "input_gradient"]}


def measured(worth, images=20, repetitions=1):
    """Rows whose measures are all `worth[backbone, method]` plus a number of the image's."""
    rows = []
    for backbone, methods in ARMS.items():
        for method in ["random", *methods, "centre"]:
            for repetition in range(1, repetitions + 1):
                for i in range(images):
                    value = worth.get((backbone, method), 0.1) + i / 1000
                    rows.append(
                        {
                            "arm": f"{backbone} / random",
                            "backbone": backbone,
                            "initialisation": "random",
                            "repetition": repetition,
                            "method": method,
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
        [f"{backbone} / random", method]
        for backbone, methods in ARMS.items()
        for method in [*methods, "random", "centre"]
    ]
    row = table.set_index(["arm", "method"]).loc["vit / random", "attention"]
    assert row["energy"] == pytest.approx(0.6 + np.mean(range(20)) / 1000)
    assert row["energy_low"] < row["energy"] < row["energy_high"]
    assert (row["images"], row["milliseconds"]) == (20, 10.5)


def test_what_was_not_measured_stays_unknown():
    measures = measured({})
    measures["deletion"] = math.nan
    measures.loc[measures["image"] != "3.png", "iou"] = math.nan
    table = method_table(measures)
    assert table["deletion"].isna().all()
    assert table["iou"].notna().all()
    assert table["iou_low"].isna().all(), "one group has no interval"
    assert "deletion" not in set(paired_table(measures, 0.02)["measure"])


def test_pairs_are_of_the_same_images_and_deletion_turns_its_sign():
    pairs = paired_table(measured({("vit", "attention"): 0.3, ("cnn", "gradcam"): 0.2}), 0.02)
    assert set(pairs["method"]) == {"attention", "gradcam"}
    assert (pairs["transformer"] + pairs["cnn"]).unique().tolist() == ["vitcnn"]
    attention = pairs[pairs["method"] == "attention"].set_index("measure")
    # The image's own part cancels: every difference is .1, and so are the interval's ends.
    for name in MEASURES:
        sign = -1 if name == "deletion" else 1
        row = attention.loc[name]
        assert row["difference"] == pytest.approx(0.1 * sign)
        assert (row["low"], row["high"]) == pytest.approx((0.1 * sign, 0.1 * sign))
        assert row["verdict"] == ("inferior" if name == "deletion" else "superior")
        assert row["images"] == 20


def test_faithfulness_of_two_models_is_compared_by_what_they_gain_over_noise():
    # The transformer is surer of everything, noise included, and its map gains nothing.
    sure = {("vit", method): 0.7 for method in ("gradcam", "attention", "random", "centre")}
    pairs = paired_table(measured(sure | {("cnn", "gradcam"): 0.15}), 0.02)
    attention = pairs[pairs["method"] == "attention"].set_index("measure")["difference"]
    assert attention["insertion"] == pytest.approx(-0.05)
    assert attention["deletion"] == pytest.approx(0.05)
    assert attention["energy"] == pytest.approx(0.55)


def test_repetitions_are_averaged_before_images_are_compared():
    once, thrice = (measured({("vit", "attention"): 0.3}, repetitions=n) for n in (1, 3))
    pd.testing.assert_frame_equal(paired_table(once, 0.02), paired_table(thrice, 0.02))
    pd.testing.assert_frame_equal(method_table(once), method_table(thrice))


def test_what_beats_maps_that_know_nothing():
    worth = {("vit", "attention"): 0.3, ("vit", "centre"): 0.3}
    found = against_baselines(measured(worth)).set_index(["arm", "method", "measure", "baseline"])
    beats = found["beats"]
    assert beats["vit / random", "attention", "energy", "random"]
    assert not beats["vit / random", "attention", "energy", "centre"]
    assert not beats["vit / random", "attention", "deletion", "random"]
    assert not beats["cnn / random", "gradcam", "iou", "random"]
    assert len(found) == 4 * len(MEASURES) * 2


def test_without_transformers_or_cnns_there_are_no_pairs():
    measures = measured({})
    assert paired_table(measures[measures["backbone"] == "cnn"], 0.02).empty
    assert paired_table(measures[measures["backbone"] == "vit"], 0.02).empty


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
