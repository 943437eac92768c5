"""Labels and groups of a data set: spelled one way, renamed, and asked about if they look alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pandas as pd
import yaml

from vitrial.data.manifest import Dataset
from vitrial.data.names import clean, look_alikes
from vitrial.errors import Problem, VitrialError
from vitrial.spelling import did_you_mean


def spelled_alike(dataset: Dataset) -> Dataset:
    """The data set with the names of its labels and groups cleaned: see `clean`."""
    manifest = dataset.manifest
    label, group, image = manifest["label"], manifest["group"], manifest["image"]
    manifest = manifest.assign(
        label=_mapped(label, {name: clean(name) for name in label.unique()}),
        # An image without a group is one by its path, which is not to be changed.
        group=group.where(group == image, _mapped(group, {n: clean(n) for n in group.unique()})),
    )
    return replace(dataset, manifest=manifest, classes=_distinct(map(clean, dataset.classes)))


def relabeled(dataset: Dataset, names: Mapping[str, str]) -> Dataset:
    """The data set with some labels renamed; a class takes the place of the first of its labels.

    Args:
        dataset: Its labels cleaned.
        names: The new name of each label.

    Raises:
        VitrialError: There is no such label.
    """
    names = {clean(old): clean(new) for old, new in names.items()}
    if unknown := [name for name in names if name not in dataset.classes]:
        meant = [f"'{name}'{did_you_mean(name, dataset.classes)}" for name in unknown]
        raise VitrialError(
            f"data.relabel: {dataset.name} has no label {'; '.join(meant)} "
            f"Its labels are {', '.join(dataset.classes[:20])}."
        )
    manifest = dataset.manifest.assign(label=dataset.manifest["label"].replace(names))
    classes = _distinct(names.get(name, name) for name in dataset.classes)
    return replace(dataset, manifest=manifest, classes=classes)


def without_look_alikes(dataset: Dataset, listed: list[str] | None) -> Dataset:
    """The data set without labels that look like another one, each a problem.

    Of labels that look alike the most frequent is kept. All are, where the protocol lists them all
    as classes. Groups that look alike are kept, with a note.

    Args:
        dataset: Its labels cleaned and renamed.
        listed: The protocol's `classes`.
    """
    counts = dataset.manifest["label"].value_counts().reindex(dataset.classes, fill_value=0)
    dropped: set[str] = set()
    problems = []
    for same in look_alikes(dataset.classes):
        wanted = set(same) & set(listed or same)
        if not wanted or (listed and len(wanted) == len(same)):
            continue
        kept = max(same, key=lambda name: (name in wanted, counts[name]))
        others = [name for name in same if name != kept]
        dropped.update(others)
        problems.append(_problem(kept, others, counts))
    manifest = dataset.manifest
    if dropped:
        manifest = manifest[~manifest["label"].isin(dropped)].reset_index(drop=True)
    classes = [name for name in dataset.classes if name not in dropped]
    problems = [*dataset.problems, *problems, *_group_notes(manifest)]
    return replace(dataset, manifest=manifest, classes=classes, problems=problems)


def _problem(kept: str, others: list[str], counts: pd.Series) -> Problem:
    names = [kept, *others]
    of_each = ", ".join(f"{name!r} labels {counts[name]:,}" for name in names)
    joined, apart = _yaml(dict.fromkeys(others, kept)), _yaml(names)[1:-1]
    return Problem(
        f"labels {', '.join(map(repr, names))}",
        f"look alike: {of_each} images",
        f"if they are one class, correct the table or write `relabel: {joined}` under `data`; if "
        f"they are not, list them with the other classes: `classes: [{apart}, ...]`",
    )


def _group_notes(manifest: pd.DataFrame) -> list[Problem]:
    groups = manifest.loc[manifest["group"] != manifest["image"], "group"]
    sets = look_alikes(sorted(groups.unique()))
    if not sets:
        return []
    first, second, *_ = sets[0]
    what = (
        f"look alike in {len(sets):,} cases, such as {first!r} and {second!r}; they count as "
        "different patients or lesions"
    )
    fix = "write them the same way if they are the same, so that they do not end up in two splits"
    return [Problem("groups", what, fix, fatal=False)]


def _mapped(values: pd.Series, names: Mapping[str, str]) -> pd.Series:
    changed = {old: new for old, new in names.items() if old != new}
    return values.map(lambda name: changed.get(name, name)) if changed else values


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _yaml(content: object) -> str:
    """A value as it is written in a protocol, in one line; invisible characters as escapes."""
    visible = repr(content).isprintable() and "\\" not in repr(content)
    text = yaml.safe_dump(content, default_flow_style=True, allow_unicode=visible, width=10_000)
    return str(text).strip()
