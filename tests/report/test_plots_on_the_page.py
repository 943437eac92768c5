"""What a page's plots show, read through their axes, is what the tables beside them say."""

import numpy as np
import pytest

from drawn import axis, ends, marks, of_class, plots
from html_tables import parsed, tables_of
from vitrial.layout import PAGE, REPORT

PIXEL = 5e-3
"""What a hundredth of a unit on an axis amounts to, at most."""


@pytest.fixture(scope="module")
def page(drawn):
    return (drawn("repeated").path / REPORT / PAGE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables(page):
    return tables_of(page)


def drawn_as(page, name):
    """The plots whose names begin so."""
    return [svg for svg in plots(page) if svg.get("aria-labelledby", "").startswith(name)]


def values(page, name):
    """What the marks of several plots stand for on the horizontal axis."""
    return [axis(svg, "x")(one.x) for svg in drawn_as(page, name) for one in marks(svg)]


def test_comparisons(page, tables):
    table = tables["comparisons-1-numbers"]
    shown = values(page, "comparisons-1")
    assert shown == pytest.approx(table["Difference"].astype(float), abs=PIXEL)
    (svg,) = drawn_as(page, "comparisons-1")
    x = axis(svg, "x")
    ((low, _, high, _),) = ends(svg)
    expected = table[["Low", "High"]].astype(float).iloc[0].tolist()
    assert [x(low), x(high)] == pytest.approx(expected, abs=PIXEL)


def test_repetitions_and_sensitivities(page, tables):
    medians = tables["repetitions-numbers"]["median"].astype(float)
    assert sorted(values(page, "repetitions")) == pytest.approx(sorted(medians), abs=PIXEL)
    points = [
        axis(svg, "x")(one.x)
        for svg in drawn_as(page, "repetitions")
        for one in marks(svg, "point")
    ]
    runs = tables["runs"]["balanced accuracy"].astype(float)
    assert sorted(points) == pytest.approx(sorted(runs), abs=PIXEL)
    found = tables["sensitivity-by-class-numbers"]["value"].astype(float)
    assert sorted(values(page, "sensitivity")) == pytest.approx(sorted(found), abs=PIXEL)


def test_costs(page, tables):
    table = tables["cost-plots-numbers"]
    for svg in drawn_as(page, "cost-"):
        y = axis(svg, "y")
        shown = [y(one.y) for one in marks(svg)]
        assert shown == pytest.approx(table["score"].astype(float), abs=PIXEL)


def test_confusion(page, tables):
    for number in (1, 2):
        counts = tables[f"confusion-{number}-numbers"].set_index("truth").astype(int).to_numpy()
        shades = np.ceil(10 * counts / counts.sum(axis=1, keepdims=True))
        (svg,) = drawn_as(page, f"confusion-{number}-")
        found = {
            round(10 * float(cell.get("fill-opacity"))): cell.get("d").count("M")
            for cell in of_class(svg, "cell")
        }
        assert found == {s: int((shades == s).sum()) for s in np.unique(shades) if s}


def test_every_plot_has_a_name_a_description_and_its_numbers(page):
    root = parsed(page)
    ids = {element.get("id") for element in root.iter()}
    assert len(plots(page)) > 5
    for svg in plots(page):
        assert svg.get("role") == "img"
        assert set(svg.get("aria-labelledby").split()) <= ids
        assert svg.find("title").text
        assert svg.find("desc").text
    for figure in root.iter("figure"):
        if any("plot" in (e.get("class") or "").split() for e in figure.iter()):
            assert figure.find(".//details//table") is not None, figure.get("id")
