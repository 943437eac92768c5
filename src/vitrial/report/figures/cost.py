"""The endpoint of each arm against what it costs, and the arms that no other beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from vitrial.compare.pareto import not_dominated
from vitrial.metrics.metric import Metric
from vitrial.report.figures.panels import grid, key
from vitrial.report.figures.svg import (
    ROW,
    SERIES,
    SIZE,
    WIDTH,
    Scale,
    line,
    mark,
    picture,
    scale,
    text,
    width_of,
    x_axis,
    y_axis,
)

LEFT, HEIGHT = 48.0, 190.0
"""Room for the values of the vertical axis, and height of a plot."""
Box = tuple[float, float, float, float]


def cost_table(arms: pd.DataFrame, costs: Mapping[str, str], endpoint: Metric) -> pd.DataFrame:
    """The arms that have a score, and for each cost whether an arm is on its front.

    Args:
        arms: A row per arm: `arm`, `label` (its backbone), `initialization`, `score` and the
            columns of costs.
        costs: Names of the columns and what they are called; lower is better.
        endpoint: What `score` is.

    Returns:
        The same columns, and `front NAME` for each cost: no arm scores as well for less.
    """
    table = arms[arms["score"].notna()].reset_index(drop=True)
    gain = table["score"].map(endpoint.gain).to_numpy(float)
    fronts = {}
    for name in costs:
        known = table[name].notna().to_numpy()
        cost = table[[name]].to_numpy(float)
        fronts[f"front {name}"] = not_dominated(gain, cost) & known
    return table.assign(**fronts)


def cost_plots(table: pd.DataFrame, costs: Mapping[str, str], label: str) -> Markup:
    """A plot per cost: arms as marks by backbone; those on the front connected and named.

    What stands beside them is what the mark does not say: the initialization, or the backbone
    where there is one initialization or more backbones than marks can tell apart.

    Args:
        table: Of `cost_table`.
        costs: Names of the columns and what they are called, with units.
        label: Of the endpoint.
    """
    backbones = list(dict.fromkeys(table["label"]))
    series = {backbone: min(place, SERIES - 1) for place, backbone in enumerate(backbones)}
    told = len(backbones) <= SERIES and table["initialization"].nunique() > 1
    table = table.assign(beside=table["initialization" if told else "label"])
    return grid(
        _plot(f"cost-{place}", table[table[name] > 0], name, words, label, series)
        for place, (name, words) in enumerate(costs.items(), 1)
    )


def _plot(
    name: str, table: pd.DataFrame, cost: str, words: str, label: str, series: Mapping[str, int]
) -> Markup:
    legend, top = key(_rows(series), words.partition(",")[0], lines=False)
    top += 2 * ROW
    x = scale(table[cost], LEFT, WIDTH - 8, log=True)
    y = scale(table["score"], top + HEIGHT, top)
    parts = [legend, text(0, top - 6, f"test {label}", "label"), y_axis(x, y), x_axis(x, y, words)]
    front = table[table[f"front {cost}"]].sort_values(cost)
    parts.append(line(_places(front, cost, x, y), "front"))
    parts += [
        mark(*place, series[backbone], 4.5)
        for place, backbone in zip(_places(table, cost, x, y), table["label"], strict=True)
    ]
    parts += _names(front, _places(table, cost, x, y), cost, x, y)
    named = ", ".join(front["arm"])
    return picture(
        name,
        f"{label} against {words}",
        f"Each arm's {label} against {words}. No other arm matches for less: {named}.",
        top + HEIGHT + 2.4 * ROW,
        parts,
    )


def _rows(series: Mapping[str, int]) -> list[tuple[str, int, str]]:
    """Of the key: backbones beyond those that can be told apart share a series."""
    own = [(backbone, number, "") for backbone, number in series.items() if number < SERIES - 1]
    rest = [backbone for backbone, number in series.items() if number == SERIES - 1]
    shared = rest[0] if len(rest) == 1 else f"{len(rest)} further backbones"
    return [*own, (shared, SERIES - 1, "")] if rest else own


def _places(table: pd.DataFrame, cost: str, x: Scale, y: Scale) -> list[tuple[float, float]]:
    return [(x(c), y(s)) for c, s in table[[cost, "score"]].to_numpy(float)]


def _names(
    front: pd.DataFrame, marks: Sequence[tuple[float, float]], cost: str, x: Scale, y: Scale
) -> list[Markup]:
    """Names beside the marks of the front, where there is room for them."""
    taken: list[Box] = [(px - 5, py - 5, px + 5, py + 5) for px, py in marks]
    parts = []
    for words, (px, py) in zip(front["beside"], _places(front, cost, x, y), strict=True):
        found = _free(words, px, py, taken, x, y)
        if found is not None:
            box, anchor, at = found
            taken.append(box)
            parts.append(text(at, box[3] - 3, words, None, anchor))
    return parts


def _free(
    words: str, px: float, py: float, taken: Sequence[Box], x: Scale, y: Scale
) -> tuple[Box, str, float] | None:
    """The first place around a mark where a name covers neither a mark nor a name."""
    width, half = width_of(words), SIZE / 2
    for dy in (-12.0, 14.0, 0.0, -26.0, 28.0):
        for anchor, at, low in (
            ("start", px + 8 * (dy == 0), px + 8 * (dy == 0)),
            ("end", px - 8 * (dy == 0), px - 8 * (dy == 0) - width),
            ("middle", px, px - width / 2),
        ):
            box = (low, py + dy - half, low + width, py + dy + half)
            inside = (
                box[0] >= x.start and box[2] <= WIDTH and y.end - 4 <= box[1] and box[3] <= y.start
            )
            if inside and not any(_overlap(box, other) for other in taken):
                return box, anchor, at
    return None


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
