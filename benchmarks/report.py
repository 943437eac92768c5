"""How long a report takes, and how large its page is: 30 runs, 2,500 test images, 7 classes.

The runs are drawn, not trained: ten arms as in the paper's Table 1 and its neighbors, three
repetitions each, with the secondary analyses. The page has to be there within 60 seconds on 2 cores
and to stay below 5 MB, so that it can be mailed.

    python benchmarks/report.py [--quick] [--json PATH]
"""

from __future__ import annotations

import io
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from PIL import Image
from table import Row, publish

from vitrial.compare.simulation import draw_logits, draw_test_set
from vitrial.data.audit.audit import audit_prepared
from vitrial.data.manifest import Dataset
from vitrial.data.prepared import Prepared, prepare_data
from vitrial.data.sources.python import with_dataset
from vitrial.protocol import Protocol
from vitrial.report.page import build_page
from vitrial.report.snapshot import Snapshot
from vitrial.store.analyses import Request, analyze, write_analyses
from vitrial.store.history import record_protocol
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Attempt, Machine, Normalization, Result
from vitrial.store.study import Study
from vitrial.study.plan import plan

CLASSES = ("nv", "mel", "bkl", "bcc", "akiec", "vasc", "df")
SHARES = (0.67, 0.11, 0.11, 0.05, 0.03, 0.015, 0.015)
"""Of HAM10000's classes."""
SPLIT = (0.3, 0.2, 0.5)
BACKBONES = ("resnet50", "deit_small_patch16_224")
SECONDS, MEGABYTES = 60.0, 5.0


@dataclass(frozen=True)
class Drawn:
    """Reads images that are noise, each from its name."""

    side: int = 32

    def read(self, name: str) -> bytes:
        """A PNG."""
        random = np.random.default_rng(int(name))
        pixels = random.integers(0, 256, (self.side, self.side, 3), dtype=np.uint8)
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        return content.getvalue()

    def stamp(self, name: str) -> str:
        """Never changes."""
        return name


def dataset(images: int) -> Dataset:
    """Images of patients, each with a class and a sex."""
    drawn = draw_test_set(images, SHARES, (1, 3), np.random.default_rng(0))
    manifest = pd.DataFrame(
        {
            "image": [str(i) for i in range(len(drawn.targets))],
            "label": np.array(CLASSES)[drawn.targets],
            "group": drawn.groups.astype(str),
            "sex": np.where(drawn.groups % 2, "female", "male"),
        }
    )
    return Dataset("drawn", manifest, list(CLASSES), Drawn(), has_files=False)


def draw_study(root: Path, test_images: int, arms: int, repetitions: int) -> Study:
    """A study with its audit, whose runs have drawn predictions."""
    stated = {
        "name": "report",
        "data": {"source": "phantom"},
        "split": {"fractions": SPLIT},
        "image": {"resize": 32},
        "augment": {"crop": 32},
        "arms": [{"backbone": BACKBONES[i % 2], "id": f"arm-{i + 1}"} for i in range(arms)],
        "comparisons": [
            {"treatment": f"arm-{i + 2}", "control": f"arm-{i + 1}", "claim": "equivalent"}
            for i in range(0, arms, 2)
        ],
        "endpoint": "balanced_accuracy",
        "repetitions": repetitions,
    }
    protocol = with_dataset(Protocol.model_validate(stated), dataset(round(test_images / SPLIT[2])))
    prepared = prepare_data(protocol.data, protocol.split, protocol.image, root / "cache")
    stages = plan(protocol, {"data": prepared.fingerprint()})
    path = root / "study"
    record_protocol(path, None, protocol)
    audit = audit_prepared(prepared, path / "audit")
    study = Study.write(path, protocol, prepared, stages, audit.problems)
    finish_runs(study, prepared)
    write_analyses(study, analyze(study, Request(subgroups=("sex",))))
    return study


def finish_runs(study: Study, prepared: Prepared) -> None:
    """Draw the predictions of every run."""
    held_out = prepared.manifest[prepared.manifest["split"] != "train"].reset_index(drop=True)
    targets = held_out["target"].to_numpy()
    drawn = replace(
        draw_test_set(2, SHARES, (1, 1), np.random.default_rng(0)),
        targets=targets,
        groups=pd.factorize(held_out["group"])[0],
    )
    qualities = np.linspace(1.5, 2.0, len(study.facts.stages)).tolist()
    logits = draw_logits(drawn, qualities, np.random.default_rng(1))
    facts = held_out[["image", "label", "group", "split", "target"]].assign(knn=targets)
    for entry, of_run in zip(study.facts.stages, logits, strict=True):
        folder = RunFolder(study.path / entry.folder)
        folder.begin(Attempt(Machine("cpu", "32-true", 2, "x86_64"), {"vitrial": "drawn"}))
        columns = {f"logit_{c}": of_run[:, c] for c in range(len(CLASSES))}
        folder.write_predictions(facts.assign(**columns))
        folder.finish(result())


def result() -> Result:
    """A run of 50 epochs."""
    history = [
        {"epoch": epoch, "train_loss": 2 / epoch, "score": 1 - 0.7 / epoch}
        for epoch in range(1, 51)
    ]
    return Result(
        epochs=50,
        history=history,
        training_seconds=600.0,
        images_per_second=200.0,
        classes=CLASSES,
        normalization=Normalization((0.5,), (0.5,)),
        parameters=23_000_000,
        best_epoch=50,
        images=1_500,
    )


def main(quick: bool = False, json: Annotated[Path | None, typer.Option()] = None) -> None:
    """Draw a study, build its page and print seconds and megabytes."""
    arms, repetitions, images = (4, 2, 500) if quick else (10, 3, 2500)
    with tempfile.TemporaryDirectory() as folder:
        study = draw_study(Path(folder), images, arms, repetitions)
        start = time.perf_counter()
        page = build_page(Snapshot(study))
        seconds = time.perf_counter() - start
    megabytes = len(page.encode()) / 1e6
    rows = [
        Row("report", seconds, "s", "60 s", seconds / SECONDS, 1.0, seconds < SECONDS),
        Row("page", megabytes, "MB", "5 MB", megabytes / MEGABYTES, 1.0, megabytes < MEGABYTES),
    ]
    publish(f"{arms * repetitions} runs, {images:,} test images, 7 classes", rows, json)


if __name__ == "__main__":
    typer.run(main)
