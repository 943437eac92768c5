"""Similarity of the splits that different rules make of real tables, over many seeds.

Each figure is the largest distance of train (80 %), validation (10 %) or test (10 %) from the
whole: the median over the seeds, and the worst.

    python benchmarks/splits.py [--data FOLDER] [--seeds 200] [--only ham10000] [--quick]
        [--plot PNG] [--json PATH]

`--data` holds the folders isic2019, ham10000, cbis-ddsm and chestxray14 with the tables that these
data sets come with; images are not needed. A folder that is not there is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from sklearn.model_selection import StratifiedGroupKFold
from table import Row, write_rows

from vitrial.data.assign import assign_groups
from vitrial.data.audit.alike import compare_splits
from vitrial.data.levels import levels
from vitrial.data.split import SPLITS

FRACTIONS = np.array([0.8, 0.1, 0.1])
SHARED = Path(__file__).parents[2] / "shared" / "data"
Rule = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


def isic2019(folder: Path) -> pd.DataFrame:
    """25,331 images; `site` is the institution, which the lesion's name begins with."""
    truth = pd.read_csv(folder / "ISIC_2019_Training_GroundTruth.csv", index_col="image")
    table = pd.read_csv(folder / "ISIC_2019_Training_Metadata.csv")
    lesion = table["lesion_id"]
    return pd.DataFrame(
        {
            "image": table["image"],
            "label": truth.idxmax(axis=1).loc[table["image"]].to_numpy(),
            "group": lesion.fillna(table["image"]),
            "site": lesion.str[:3],
            "sex": table["sex"],
        }
    )


def ham10000(folder: Path) -> pd.DataFrame:
    """10,015 images; `dx_type` is how the diagnosis was made."""
    table = pd.read_csv(folder / "HAM10000_metadata.csv")
    table = table.rename(columns={"image_id": "image", "dx": "label", "lesion_id": "group"})
    return table[["image", "label", "group", "dx_type", "sex"]]


def cbis_ddsm(folder: Path) -> pd.DataFrame:
    """3,103 mammograms, with a mass or none; groups are patients."""
    tables = []
    for path in sorted(folder.glob("*_case_description_*_set.csv")):
        table = pd.read_csv(path).rename(columns=lambda name: name.replace(" ", "_"))
        tables.append(table.assign(abnormality=path.name.split("_")[0]))
    rows = pd.concat(tables)
    mammogram = [rows[key] for key in ("patient_id", "left_or_right_breast", "image_view")]
    mass = (rows["abnormality"] == "mass").groupby(mammogram).transform("any")
    rows = rows.assign(label=np.where(mass, "mass", "none"), image=rows["image_file_path"])
    rows = rows.drop_duplicates("image").rename(columns={"patient_id": "group"})
    return rows[["image", "label", "group", "breast_density", "abnormality"]]


def chestxray14(folder: Path) -> pd.DataFrame:
    """112,120 images; the label is the first finding, groups are patients."""
    table = pd.read_csv(folder / "Data_Entry_2017.csv")
    return pd.DataFrame(
        {
            "image": table["Image Index"],
            "label": table["Finding Labels"].str.split("|").str[0],
            "group": table["Patient ID"].astype(str),
            "view": table["View Position"],
            "sex": table["Patient Gender"],
        }
    )


TABLES = {
    "isic2019": isic2019,
    "ham10000": ham10000,
    "cbis-ddsm": cbis_ddsm,
    "chestxray14": chestxray14,
}


def by_chance(labels: np.ndarray, group: np.ndarray, size: np.ndarray, seed: int) -> np.ndarray:
    """Whole groups in random order, each part filled up in turn."""
    order = np.random.default_rng(seed).permutation(len(size))
    part = np.empty(len(size), dtype=np.int64)
    middle = np.cumsum(size[order]) - size[order] / 2
    part[order] = np.searchsorted(FRACTIONS.cumsum()[:-1] * size.sum(), middle)
    return part.take(group)


def large_first(labels: np.ndarray, group: np.ndarray, size: np.ndarray, seed: int) -> np.ndarray:
    """Large groups first, each to the part that lacks most images of its labels."""
    label = pd.factorize(labels)[0]
    counts = np.zeros((len(size), label.max() + 1))
    np.add.at(counts, (group, label), 1)
    totals = counts.sum(axis=0)
    lacking = np.outer(FRACTIONS, totals)
    part = np.empty(len(size), dtype=np.int64)
    shuffled = np.random.default_rng(seed).permutation(len(size))
    for g in shuffled[np.argsort(-size[shuffled], kind="stable")]:
        part[g] = np.argmax(lacking @ (counts[g] / totals))
        lacking[part[g]] -= counts[g]
    return part.take(group)


def random_order(labels: np.ndarray, group: np.ndarray, size: np.ndarray, seed: int) -> np.ndarray:
    """Groups in random order, each to the part that lacks the largest share of its labels."""
    label = pd.factorize(labels)[0]
    counts = np.zeros((len(size), label.max() + 1))
    np.add.at(counts, (group, label), 1)
    wanted = np.outer(FRACTIONS, counts.sum(axis=0))
    lacking = wanted.copy()
    part = np.empty(len(size), dtype=np.int64)
    for g in np.random.default_rng(seed).permutation(len(size)):
        part[g] = np.argmax((lacking / wanted) @ counts[g])
        lacking[part[g]] -= counts[g]
    return part.take(group)


def in_strata(labels: np.ndarray, group: np.ndarray, size: np.ndarray, seed: int) -> np.ndarray:
    """Every tenth group for test and for validation, in the order of label, size and chance."""
    rng = np.random.default_rng(seed)
    rare_first = pd.Series(labels).value_counts(ascending=True).index
    rarest = np.full(len(size), len(rare_first))
    np.minimum.at(rarest, group, rare_first.get_indexer(pd.Index(labels)))
    rest = np.lexsort((rng.random(len(size)), size, rarest))
    part, share = np.zeros(len(size), dtype=np.int64), 1.0
    for p in (2, 1):
        steps = np.floor(np.arange(len(rest) + 1) * FRACTIONS[p] / share + rng.random())
        drawn = np.diff(steps) > 0
        part[rest[drawn]] = p
        rest, share = rest[~drawn], share - FRACTIONS[p]
    return part.take(group)


def iterative(labels: np.ndarray, group: np.ndarray, size: np.ndarray, seed: int) -> np.ndarray:
    """Sechidis, Tsoumakas, Vlahavas 2011, on groups; a stratum is a label and a size band.

    The stratum of the fewest groups left comes first; its groups go to the part that wants most
    groups of it, then to the one that wants most groups.
    """
    rng = np.random.default_rng(seed)
    label, band = pd.factorize(labels)[0], np.frexp(size - 1)[1]
    stratum = pd.factorize(label * 64 + band[group])[0]
    pairs = pd.DataFrame({"group": group, "stratum": stratum}).drop_duplicates()
    of_group = pairs.groupby("group")["stratum"].agg(list).to_dict()
    members = pairs.groupby("stratum")["group"].agg(list).to_dict()
    left = pairs["stratum"].value_counts().to_dict()
    wanted = {s: FRACTIONS * n for s, n in left.items()}
    wanted_groups = FRACTIONS * len(size)
    part = np.full(len(size), -1)
    while left:
        rarest = min(left, key=left.__getitem__)
        for g in rng.permutation(members[rarest]):
            if part[g] >= 0:
                continue
            best = np.flatnonzero(wanted[rarest] >= wanted[rarest].max() - 1e-9)
            best = best[wanted_groups[best] >= wanted_groups[best].max() - 1e-9]
            part[g] = rng.choice(best)
            wanted_groups[part[g]] -= 1
            for s in of_group[g]:
                wanted[s][part[g]] -= 1
                if s in left:
                    left[s] -= 1
        del left[rarest]
    return part.take(group)


def group_folds(labels: np.ndarray, group: np.ndarray, size: np.ndarray, seed: int) -> np.ndarray:
    """Ten folds of scikit-learn's StratifiedGroupKFold: eight, one and one."""
    folds = StratifiedGroupKFold(10, shuffle=True, random_state=seed)
    part = np.zeros(len(labels), dtype=np.int64)
    held_out = [test for _, test in folds.split(labels, labels, group)]
    first, second = np.random.default_rng(seed).permutation(10)[:2]
    part[held_out[first]], part[held_out[second]] = 1, 2
    return part


def minimized(labels: np.ndarray, group: np.ndarray, size: np.ndarray, seed: int) -> np.ndarray:
    """The package's rule."""
    return assign_groups(labels, group, FRACTIONS, seed)


def distances(table: pd.DataFrame, size: np.ndarray, part: np.ndarray) -> dict[str, float]:
    """The largest distance of a part from the whole in each respect, as shares or ratios."""
    n = len(table)
    images = np.bincount(part, minlength=3)
    groups = np.bincount(part, 1 / size, minlength=3)
    named = [name for name in table if name not in ("image", "label", "group")]
    return {
        "images": float(np.abs(images / n - FRACTIONS).max()),
        "class": _furthest(table["label"], part),
        "images per group": float(np.abs(images / groups / (n / groups.sum()) - 1).max()),
        "in groups of several": _furthest(pd.Series(size > 1), part),
        **{str(name): _furthest(levels(table[name]), part) for name in named},
    }


def _furthest(column: pd.Series, part: np.ndarray) -> float:
    """The largest distance of a level's share in a part from its share in the whole."""
    code = pd.factorize(column)[0]
    counts = np.zeros((3, code.max() + 1))
    np.add.at(counts, (part, code), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return float(np.abs(shares - counts.sum(axis=0) / len(code)).max())


def measure(table: pd.DataFrame, rules: dict[str, Rule], seeds: int) -> pd.DataFrame:
    """Split a table by each rule and seed.

    Returns:
        A row for each: its distances, `seconds`, `largest` (the share of the largest 1 % of groups
        that are in test: 10 % without bias) and, of two rules, `flagged`: whether the
        audit of the data would say that the splits differ.
    """
    labels = table["label"].to_numpy()
    group = pd.factorize(table["group"], sort=True)[0]
    size = np.bincount(group)
    largest = np.argsort(-size, kind="stable")[: len(size) // 100]
    rows = []
    for name, rule in rules.items():
        for seed in range(max(3, seeds // 10) if rule is group_folds else seeds):
            start = time.process_time()
            part = rule(labels, group, size, seed)
            seconds = time.process_time() - start
            of_group = np.empty(len(size), dtype=np.int64)
            of_group[group] = part
            row = {"rule": name, "seed": seed, **distances(table, size[group], part)}
            row |= {"seconds": seconds, "largest": (of_group[largest] == 2).mean()}
            if rule in (by_chance, minimized):
                split = np.array(SPLITS)[part]
                row["flagged"] = any(f.differs for f in compare_splits(table.assign(split=split)))
            rows.append(row)
    return pd.DataFrame(rows)


def rules_for(table: pd.DataFrame) -> dict[str, Rule]:
    """The rules by name; the package's also with the table's columns to stratify by."""
    named = [str(name) for name in table if name not in ("image", "label", "group")]
    columns = [levels(table[name]).to_numpy() for name in named]

    def stratified(
        labels: np.ndarray, group: np.ndarray, size: np.ndarray, seed: int
    ) -> np.ndarray:
        return assign_groups(labels, group, FRACTIONS, seed, columns)

    rules: dict[str, Rule] = {
        "groups by chance": by_chance,
        "large first, absolute deficit": large_first,
        "random order, relative deficit": random_order,
        "strata of label and size": in_strata,
        "iterative stratification": iterative,
        "StratifiedGroupKFold": group_folds,
        "minimization": minimized,
        f"minimization, stratify {', '.join(named)}": stratified,
    }
    if len(table) > 50_000:  # a minute or more for each split
        del rules["StratifiedGroupKFold"]
    return rules


def show(name: str, found: pd.DataFrame) -> tuple[Table, list[Row]]:
    """The table of a data set, and the rows of the JSON file."""
    measures = [name for name in found if name not in ("rule", "seed")]
    table = Table("", *map(str, measures), title=f"{name}, % : median / worst")
    rows = []
    chance = found[found["rule"] == "groups by chance"]
    for rule, mine in found.groupby("rule", sort=False):
        cells = []
        for measure in measures:
            values, unit = 100 * mine[measure].dropna().astype(float), "%"
            if measure == "seconds":
                values, unit = values / 100, "s"
            whole = measure in ("largest", "flagged")
            middle = values.mean() if whole else values.median()
            if values.empty:
                cells.append("")
                continue
            cells.append(f"{middle:.2f}" if whole else f"{middle:.2f} / {values.max():.2f}")
            reference = 100 * chance[measure].astype(float).max()
            ratio = values.max() / reference if reference and unit == "%" and not whole else None
            against = None if ratio is None else "groups by chance"
            title = f"{name}, {rule}: {measure}"
            rows.append(Row(f"{title}, {'mean' if whole else 'median'}", float(middle), unit))
            if not whole:
                rows.append(Row(f"{title}, worst", float(values.max()), unit, against, ratio))
        table.add_row(str(rule), *cells)
    return table, rows


def main(
    data: Annotated[Path, typer.Option(help="The folder of the data sets' folders.")] = SHARED,
    seeds: Annotated[int, typer.Option(help="Splits of each rule; a tenth of the slowest.")] = 200,
    only: Annotated[str, typer.Option(help="One of the data sets.")] = "",
    quick: Annotated[bool, typer.Option(help="Few seeds, and no table of more images.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the distances here.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Split the real tables again and again."""
    rows: list[Row] = []
    found = {}
    for name, read in TABLES.items():
        if not (data / name).is_dir() or only not in ("", name):
            continue
        table = read(data / name)
        if quick and len(table) > 20_000:
            continue
        found[name] = measure(table, rules_for(table), 3 if quick else seeds)
        shown, more = show(name, found[name])
        Console(width=200).print(shown)
        rows += more
    if plot is not None:
        draw(found, plot)
    if json is not None:
        write_rows(rows, json)


def draw(found: dict[str, pd.DataFrame], path: Path) -> None:
    """A panel a data set and measure: every split is a point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(len(found), 3, figsize=(10, 2.4 * len(found)), squeeze=False)
    rng = np.random.default_rng(0)
    for row, (name, table) in zip(panels, found.items(), strict=True):
        rules = list(dict.fromkeys(table["rule"]))
        first_column = str(list(table)[list(table).index("in groups of several") + 1])
        for panel, measure in zip(row, ("class", "images per group", first_column), strict=True):
            for place, rule in enumerate(rules):
                values = 100 * table.loc[table["rule"] == rule, measure]
                height = place + rng.uniform(-0.3, 0.3, len(values))
                panel.plot(values.clip(lower=0.005), height, ".", ms=3, alpha=0.5, color="#0072b2")
            panel.set(xscale="log", xlim=(0.004, 150), ylim=(len(rules) - 0.5, -0.5))
            panel.set_yticks(range(len(rules)), rules if panel is row[0] else [])
            panel.tick_params(labelsize=7)
            panel.set_title(f"{name}: {measure}, % apart", fontsize=8)
            panel.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    typer.run(main)
