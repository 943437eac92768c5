"""The model card in Hugging Face's format, each figure recomputed from the store."""

from __future__ import annotations

import html
import math
from functools import cache
from typing import Any

import jinja2
import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from vitrial.compare.aligned import Aligned, align
from vitrial.compare.group_means import mean_over_groups
from vitrial.compare.table import in_words
from vitrial.compare.temperature import calibrated
from vitrial.data.about import about
from vitrial.export.description import preparation
from vitrial.export.exported import Exported
from vitrial.metrics import METRICS
from vitrial.models.backbone import pretrained_cfg
from vitrial.protocol import Arm, DataSection
from vitrial.store.analyses import metric_table, read_analyses
from vitrial.tasks import task_of

TASK = "image-classification"
OWN = ("csv", "dicom", "folder", "phantom", "python")
"""Sources whose images are nobody else's, so that there is no data set to name."""


def model_card(exported: Exported) -> str:
    """The card of a run: metadata as YAML, and Markdown.

    It names no file, folder, image or patient.

    Raises:
        VitrialError: It is a pretraining, of which there is nothing to report.
    """
    run = exported.run
    study, protocol, facts = run.study, run.study.protocol, run.study.facts
    named = [(run.entry.name, run.entry.arm, exported.predictions)]
    test, val = align(named, "test"), align(named, "val")
    metrics = metric_table(test, [], task_of(protocol.endpoint))
    after, _ = calibrated(test, val)
    body = _template().render(
        title=f"{exported.stage.arm.model}, {protocol.name}",
        arm=exported.stage.arm,
        start=_start(exported.stage.arm),
        why=run.why,
        classes=facts.classes,
        facts=facts,
        protocol=protocol,
        source=published(protocol.data) or "images of the authors' own",
        about=about(protocol.data.source) if published(protocol.data) else None,
        metrics=[_with_interval(row, METRICS[row["metric"]].label) for row in _rows(metrics)],
        arm_score=_arm_score(exported),
        sensitivities=_sensitivities(test, facts.classes),
        temperature=exported.temperature,
        calibration=[of.scored("calibration_error").scores[0] for of in (test, after)],
        splits=_splits(study.manifest(), facts.classes),
        steps=preparation(exported),
        subgroups=_subgroups(exported),
        amendments=len(study.amendments()),
        crop=exported.stage.augment.crop,
        channels=exported.stage.image.channels,
    )
    return f"---\n{_metadata(exported, metrics).to_yaml()}\n---\n{body}"


def published(data: DataSection) -> str | None:
    """What a public data set is called; None of images of one's own."""
    if data.source in OWN:
        return None
    part = str(getattr(data, data.first_key)) if data.first_key else ""
    if data.source == "huggingface":
        return None if part.startswith(("/", ".")) or ":" in part else part
    return f"{data.source}-{part}" if part else data.source


def _metadata(exported: Exported, metrics: pd.DataFrame) -> ModelCardData:
    """What the hub reads; the license is the uploader's to say."""
    protocol = exported.run.study.protocol
    dataset = published(protocol.data)
    results = [
        EvalResult(
            task_type=TASK,
            dataset_type=dataset or "own",
            dataset_name=dataset or protocol.name,
            dataset_split="test",
            metric_type=row["metric"],
            metric_name=METRICS[row["metric"]].label,
            metric_value=row["value"],
        )
        for row in _rows(metrics)
    ]
    arm = exported.stage.arm
    return ModelCardData(
        license="other",
        license_name="to-be-stated",
        library_name="timm",
        pipeline_tag=TASK,
        tags=[TASK, "timm", "medical", "vitrial"],
        datasets=[dataset] if dataset else None,
        base_model=(pretrained_cfg(arm.model).hf_hub_id or None) if arm.tag else None,
        model_name=f"{arm.model}, {protocol.name}",
        eval_results=results,
    )


def _start(arm: Arm) -> str:
    """Where the weights started, without the path of a file."""
    origin = arm.origin
    start = "weights of the authors' own" if origin.kind == "file" else f"`{origin.base}`"
    return start + (f", then self-supervision by {origin.method.upper()}" if origin.method else "")


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _with_interval(row: dict[str, Any], label: str) -> tuple[str, str]:
    interval = (
        "" if math.isnan(row["low"] - row["high"]) else f" [{row['low']:.3f}, {row['high']:.3f}]"
    )
    return label, f"{row['value']:.3f}{interval}"


def _arm_score(exported: Exported) -> str:
    """The endpoint of all repetitions, as the study's table has it."""
    study = exported.run.study
    table = study.table()
    words = in_words(table[table["arm"] == exported.run.entry.arm], study.protocol.endpoint)
    row = words.iloc[0]
    return f"{words.columns[3]} {row.iloc[3]} over {row['Runs']} repetitions"


def _sensitivities(test: Aligned, classes: tuple[str, ...]) -> list[tuple[str, str, int, int]]:
    """Of each class its name, sensitivity with interval, test images and their groups."""
    right = test.logits.argmax(axis=-1) == test.targets
    found = []
    for c, name in enumerate(classes):
        of_class = test.targets == c
        mean = mean_over_groups(right[:, of_class], test.groups[of_class])
        ends = {"low": max(mean.low, 0), "high": min(mean.high, 1)}
        shown = _with_interval({"value": mean.mean, **ends}, name)
        found.append((*shown, mean.n, mean.groups))
    return found


def _splits(manifest: pd.DataFrame, classes: tuple[str, ...]) -> list[tuple[str | int, ...]]:
    """Of each split its name, images, groups, and images of each class."""
    names = {"train": "training", "val": "validation", "test": "test"}
    found: list[tuple[str | int, ...]] = []
    for split, name in names.items():
        part = manifest[manifest["split"] == split]
        counts = part["label"].value_counts()
        each = (int(counts.get(label, 0)) for label in classes)
        found.append((name, len(part), part["group"].nunique(), *each))
    return found


def _subgroups(exported: Exported) -> list[tuple[str, ...]]:
    """What `vitrial analyze` found of the arm in subgroups: column, level, images, endpoint."""
    analyses = read_analyses(exported.run.study)
    table = None if analyses is None else analyses.tables.get("subgroups")
    if table is None:
        return []
    mine = table[(table["arm"] == exported.run.entry.arm) & (table["less"] == "")]
    return [
        (str(row["column"]), *_with_interval(row, str(row["subgroup"])), str(row["images"]))
        for row in _rows(mine)
    ]


def cell(text: object) -> str:
    """A text that is no markup, neither of HTML nor of Markdown, and stays in its cell."""
    plain = html.escape(" ".join(str(text).split()))
    return "".join(f"\\{char}" if char in "\\|*_`[]" else char for char in plain)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vitrial", "export"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = cell
    return environment.get_template("card.md.j2")
