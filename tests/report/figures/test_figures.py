"""Each figure's marks, read back through its axes, are the numbers that it was made of."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from drawn import axis, ends, marks, of_class, plots, texts
from vitrial.compare.curves import Curve, PowerLaw
from vitrial.compare.intervals import single_effect
from vitrial.metrics import ENDPOINTS
from vitrial.protocol import Arm
from vitrial.report.figures.confusion import confusion_map, shares_of
from vitrial.report.figures.cost import cost_plots, cost_table
from vitrial.report.figures.curves import MOST_EPOCHS, curve_table, learning_curves
from vitrial.report.figures.data_size import data_size_plots
from vitrial.report.figures.embedding import embedding_map
from vitrial.report.figures.forest import Interval, Row, forest
from vitrial.report.figures.panels import MOST, panels, series_name
from vitrial.report.figures.repetitions import repetition_plots, repetition_table
from vitrial.report.figures.subgroups import parts_plots
from vitrial.report.figures.svg import SIZE, width_of
from vitrial.report.figures.trust import decision_plots, reliability_plots

ARMS = [
    Arm(backbone=backbone, initialization=start)
    for start in ("random", "imagenet")
    for backbone in ("resnet50", "deit_small_patch16_224")
]
NAMES = [arm.name for arm in ARMS]
EVIL = "<script>alert('x')</script> \"q\" 病 😀"


def metrics(epochs=9, repetitions=3):
    rng = np.random.default_rng(0)
    keys = [(a, r, e) for a in NAMES for r in range(repetitions) for e in range(1, epochs + 1)]
    table = pd.DataFrame(keys, columns=["arm", "repetition", "epoch"])
    return table.assign(score=rng.random(len(keys)), train_loss=2 * rng.random(len(keys)))


def many(count):
    """Arms of ten backbones and as many initializations as it takes."""
    starts = [f"transfer:s{i}" for i in range(count // 10)]
    return [Arm(backbone=f"b{k}", initialization=start) for start in starts for k in range(10)]


def test_arms_of_an_initialization_share_a_plot_and_a_backbone_has_one_series_in_all():
    random, imagenet = panels(ARMS, NAMES)
    assert (random.title, imagenet.title) == ("random", "imagenet")
    assert list(random.labels.values()) == ["resnet50", "deit_small_patch16_224"]
    assert list(random.series.values()) == list(imagenet.series.values()) == [0, 1]
    assert panels(ARMS, []) == []


def test_of_sixty_arms_no_plot_has_more_than_can_be_followed_and_none_is_lost():
    arms = many(60)
    found = panels(arms, [arm.name for arm in arms])
    assert max(len(panel.labels) for panel in found) <= MOST
    assert [arm for panel in found for arm in panel.labels] == [arm.name for arm in arms]
    assert len({panel.title for panel in found}) == len(found) == 12


def test_an_arm_with_an_id_is_told_from_its_backbone():
    arms = [Arm(backbone="resnet50"), Arm(backbone="resnet50", id="slow")]
    assert [series_name(arm) for arm in arms] == ["resnet50", "resnet50 (slow)"]


def test_curves_are_medians_with_bands_from_the_lowest_to_the_highest():
    table = curve_table(metrics())
    row = table[(table["arm"] == NAMES[1]) & (table["epoch"] == 4)].iloc[0]
    own = metrics().query("arm == @NAMES[1] and epoch == 4")["score"]
    assert row["score"] == pytest.approx(own.median(), abs=1e-4)
    assert row["score_low"] == pytest.approx(own.min(), abs=1e-4)
    assert row["score_high"] == pytest.approx(own.max(), abs=1e-4)
    assert row["runs"] == 3
    drawn = plots(learning_curves(table, panels(ARMS, NAMES), "kappa", 0.25))
    assert len(drawn) == 2
    assert len(of_class(drawn[0], "band")) == 2 * 2, "arms times score and loss"
    assert "chance" in texts(drawn[0])


def test_the_points_of_a_curve_are_those_of_the_table():
    table = curve_table(metrics())
    svg = plots(learning_curves(table, panels(ARMS, NAMES), "kappa", None))[0]
    ticks = of_class(svg, "tick")
    upper = [t for t in ticks if "y" in t.get("class").split()]
    values = [float(t.text) for t in upper]
    first = values[: next(i for i in range(1, len(values)) if values[i] < values[i - 1])]
    places = [float(t.get("y")) - 13 / 3 for t in upper[: len(first)]]
    slope, offset = np.polyfit(places, first, 1)
    path = of_class(svg, "line")[0].get("d")
    drawn = [tuple(map(float, p.split())) for p in path[1:].split("L")]
    own = table[table["arm"] == NAMES[0]]
    x = axis(svg, "x")
    assert [round(x(px)) for px, _ in drawn] == own["epoch"].tolist()
    assert [slope * py + offset for _, py in drawn] == pytest.approx(
        own["score"].tolist(), abs=2e-3
    )


def test_long_trainings_are_thinned_and_keep_their_last_epoch():
    table = curve_table(metrics(epochs=211, repetitions=1))
    by_arm = table.groupby("arm")["epoch"]
    assert by_arm.size().max() <= MOST_EPOCHS
    assert (by_arm.max() == 211).all()


def test_repetitions_are_points_around_the_median_with_the_interval_of_the_mean():
    scores = pd.DataFrame({"arm": np.repeat(NAMES, 3), "kappa": np.linspace(0.1, 0.9, 12)})
    found = pd.DataFrame({"arm": NAMES[:3], "low": [0.1, 0.2, np.nan], "high": [0.3, 0.5, np.nan]})
    table = repetition_table(scores, "kappa", found)
    svg = plots(repetition_plots(table, scores, "kappa", panels(ARMS, NAMES), "kappa", None))[0]
    x = axis(svg, "x")
    assert [x(m.x) for m in marks(svg, "point")] == pytest.approx(scores["kappa"][:6], abs=2e-3)
    assert [x(m.x) for m in marks(svg)] == pytest.approx(table["median"][:2], abs=2e-3)
    assert [(x(a), x(b)) for a, _, b, _ in ends(svg)] == [
        pytest.approx(pair, abs=2e-3) for pair in [(0.1, 0.3), (0.2, 0.5)]
    ]


@pytest.mark.parametrize("values", [[math.nan], [0.4]])
def test_one_arm_with_one_repetition_and_one_without_a_score(values):
    scores = pd.DataFrame({"arm": [NAMES[0]], "kappa": values})
    none = pd.DataFrame({"arm": [], "low": [], "high": []}).astype({"arm": object})
    table = repetition_table(scores, "kappa", none)
    of = panels(ARMS[:1], NAMES[:1])
    (svg,) = plots(repetition_plots(table, scores, "kappa", of, "kappa", 0.25))
    assert len(marks(svg)) == (not math.isnan(values[0]))
    assert not ends(svg)


def test_a_forest_plot_has_its_intervals_band_and_reference_in_place():
    rows = [
        Row("A − B", "+0.1", (Interval(0.1, 0.02, 0.19),)),
        Row(EVIL, "", (Interval(-0.3, -0.5, -0.1), Interval(math.nan, math.nan, math.nan))),
    ]
    drawn = forest("f", EVIL, "d", rows, "difference", band=(-0.05, 0.05), reference=0.0)
    (svg,) = plots(drawn)
    x = axis(svg, "x")
    assert [x(m.x) for m in marks(svg)] == pytest.approx([0.1, -0.3], abs=2e-3)
    assert [x(v) for a, _, b, _ in ends(svg) for v in (a, b)] == pytest.approx(
        [0.02, 0.19, -0.5, -0.1], abs=2e-3
    )
    (band,) = of_class(svg, "margin")
    left, width = float(band.get("x")), float(band.get("width"))
    assert [x(left), x(left + width)] == pytest.approx([-0.05, 0.05], abs=2e-3)
    assert "<script" not in drawn


def test_parts_have_a_row_each_and_wide_intervals_are_cut_at_what_is_possible():
    table = pd.DataFrame(
        {"part": ["a", "a", EVIL, EVIL], "images": 7, "arm": NAMES[:2] * 2,
         "value": [0.5, 0.6, 0.7, 0.8], "low": [-3, 0.5, 0.6, 0.7], "high": [2, 0.7, 0.8, 0.9]}
    )  # fmt: skip
    drawn = parts_plots("p", "t", table, panels(ARMS, NAMES[:2]), "sensitivity", within=(0, 1))
    (svg,) = plots(drawn)
    x = axis(svg, "x")
    assert [x(m.x) for m in marks(svg)] == pytest.approx(table["value"], abs=3e-3)
    first, *others = [(x(a), x(b)) for a, _, b, _ in ends(svg)]
    assert first == pytest.approx((0, 1), abs=3e-3)
    assert others[0] == pytest.approx((0.5, 0.7), abs=3e-3)
    assert texts(svg).count("n = 7") == 2


def test_many_rows_are_in_plots_beside_each_other_with_one_axis():
    table = pd.DataFrame(
        {"part": [f"class {i}" for i in range(40)], "images": 7, "arm": NAMES[0],
         "value": np.linspace(0.1, 0.9, 40), "low": math.nan, "high": math.nan}
    )  # fmt: skip
    drawn = plots(parts_plots("p", "t", table, panels(ARMS, NAMES[:1]), "sensitivity"))
    assert [len(marks(svg)) for svg in drawn] == [14, 14, 12]
    found = [axis(svg, "x")(m.x) for svg in drawn for m in marks(svg)]
    assert found == pytest.approx(table["value"], abs=3e-3)
    assert len({svg.get("aria-labelledby") for svg in drawn}) == 3


def test_data_size_has_means_intervals_and_the_law():
    sizes, means = np.array([100, 200, 400, 800]), [0.4, 0.5, 0.55, 0.58]
    runs = [single_effect(np.array([m - 0.01, m + 0.01]), np.full((2, 2), 1e-4)) for m in means]
    curve = Curve(NAMES[0], sizes, tuple(runs), np.arange(4))
    law = PowerLaw(0.65, 0.07, 0.8, (0, 0, 0), 0.5, 0.61, 0.01)
    (svg,) = plots(data_size_plots([curve], {NAMES[0]: law}, panels(ARMS, NAMES[:1]), "kappa"))
    x, y = axis(svg, "x", log=True), axis(svg, "y")
    assert [x(m.x) for m in marks(svg)] == pytest.approx(sizes, rel=0.02)
    assert [y(m.y) for m in marks(svg)] == pytest.approx(means, abs=2e-3)
    assert y(ends(svg)[0][1]) == pytest.approx(runs[0].low, abs=2e-3)
    (fit,) = of_class(svg, "fit")
    last = tuple(map(float, fit.get("d").split("L")[-1].split()))
    assert (x(last[0]), y(last[1])) == pytest.approx((1600, 0.65 - 0.07 * 2**-0.8), rel=0.02)


def test_reliability_is_drawn_before_and_after():
    table = pd.DataFrame(
        {"arm": NAMES[0], "when": ["before", "before", "after"], "confidence": [0.4, 0.9, 0.8],
         "accuracy": [0.3, 0.6, 0.75]}
    )  # fmt: skip
    (svg,) = plots(reliability_plots(table, panels(ARMS, NAMES[:1])))
    y = axis(svg, "y")
    assert [y(m.y) for m in marks(svg)] == pytest.approx(table["accuracy"], abs=2e-3)
    assert {"before temperature", "after temperature"} <= set(texts(svg))


def test_net_benefit_is_cut_where_acting_harms_and_shows_acting_on_all():
    table = pd.DataFrame(
        {"arm": NAMES[0], "less": "", "threshold": [0.1, 0.5, 0.9], "value": [0.2, 0.1, -5.0],
         "act_on_all": [0.18, -0.2, -9.0]}
    )  # fmt: skip
    drawn = decision_plots(table, panels(ARMS, NAMES[:1]), EVIL)
    (svg,) = plots(drawn)
    x, y = axis(svg, "x"), axis(svg, "y")
    assert [(x(m.x), y(m.y)) for m in marks(svg)] == [
        pytest.approx(pair, abs=3e-3) for pair in [(0.1, 0.2), (0.5, 0.1)]
    ]
    assert "act on all" in texts(svg)
    assert "<script" not in drawn


def costs(arms):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {"arm": [arm.name for arm in arms], "label": [arm.backbone for arm in arms],
         "initialization": [str(arm.origin) for arm in arms],
         "score": rng.uniform(0.3, 0.9, len(arms)), "minutes": rng.uniform(1, 90, len(arms))}
    )  # fmt: skip


def test_arms_stand_at_their_cost_and_the_front_is_what_no_other_matches_for_less():
    arms = costs(ARMS).assign(score=[0.5, 0.6, 0.55, math.nan], minutes=[10.0, 20.0, 30.0, 1.0])
    table = cost_table(arms, {"minutes": ""}, ENDPOINTS["quadratic_kappa"])
    assert table["front minutes"].tolist() == [True, True, False], "what has no score is left out"
    (svg,) = plots(cost_plots(table, {"minutes": "training, minutes"}, "kappa"))
    x, y = axis(svg, "x", log=True), axis(svg, "y")
    assert [x(m.x) for m in marks(svg)] == pytest.approx([10, 20, 30], rel=0.02)
    assert [y(m.y) for m in marks(svg)] == pytest.approx([0.5, 0.6, 0.55], abs=2e-3)
    assert texts(svg).count("random") == 2, "beside the two on the front"
    alone = table[table["initialization"] == "random"]
    (svg,) = plots(cost_plots(alone, {"minutes": "training, minutes"}, "kappa"))
    assert texts(svg).count("resnet50") == 2, "in the key, and beside the mark"
    lower = cost_table(arms, {"minutes": ""}, ENDPOINTS["log_loss"])
    assert lower["front minutes"].tolist() == [True, False, False]


def test_sixty_arms_are_all_there_and_their_names_do_not_overlap():
    table = cost_table(costs(many(60)), {"minutes": ""}, ENDPOINTS["quadratic_kappa"])
    (svg,) = plots(cost_plots(table, {"minutes": "training, minutes"}, "kappa"))
    assert len(marks(svg)) == 60
    assert "3 further backbones" in texts(svg)
    names = [e for e in svg.findall("text") if e.text in set(table["label"])]
    assert names
    for a, b in itertools.combinations(map(box, names), 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def box(words):
    """Left, top, right and bottom of a text."""
    x, y, wide = float(words.get("x")), float(words.get("y")), width_of(words.text)
    left = x - wide * {"middle": 0.5, "end": 1}.get(words.get("text-anchor"), 0)
    return left, y - SIZE + 3, left + wide, y + 3


@pytest.mark.parametrize("n", [2, 7, 12, 40])
def test_confusion_is_shaded_by_the_share_of_the_row_and_fits_the_plot(n):
    rng = np.random.default_rng(n)
    counts = rng.integers(0, 9, (n, n)) + 30 * np.eye(n, dtype=int)
    counts[0] = 0
    classes = [EVIL, *(f"class {i}" for i in range(1, n))]
    drawn = confusion_map("c", EVIL, counts, classes)
    (svg,) = plots(drawn)
    shades = np.ceil(shares_of(counts) * 10)
    for cell in of_class(svg, "cell"):
        shade = round(float(cell.get("fill-opacity")) * 10)
        assert cell.get("d").count("M") == (shades == shade).sum()
    (frame,) = of_class(svg, "frame")
    assert float(frame.get("x")) + float(frame.get("width")) <= 360
    assert "<script" not in drawn
    if n == 2:
        assert f"{100 * shares_of(counts)[1, 1]:.0f}" in texts(svg)


def test_features_show_every_image_and_fold_classes_beyond_those_that_can_be_told_apart():
    rng = np.random.default_rng(0)
    places, targets = rng.normal(size=(500, 2)), rng.integers(0, 40, 500)
    (svg,) = plots(embedding_map("e", EVIL, places, targets, [f"c{i}" for i in range(40)]))
    dots = of_class(svg, "dots")
    assert sum(path.get("d").count("M") for path in dots) == 500
    assert len(dots) == 8
    assert "33 further classes" in texts(svg)
