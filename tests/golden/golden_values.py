"""What each kind of stage draws and computes in a small trial, as its version stands for.

What is drawn is kept as a digest of integers, which every processor draws alike. What is computed
is kept as numbers, to be compared within a tolerance far wider than the rounding of so few steps.
"""

from __future__ import annotations

import dataclasses
import hashlib
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch
from PIL import Image as Picture

from vitrial.data.prepared import Prepared
from vitrial.data.split import split_manifest
from vitrial.protocol import Protocol, Split
from vitrial.store.registration import register
from vitrial.store.run_folder import RunFolder, lay_down
from vitrial.store.stage import Stage
from vitrial.study.datasets import fingerprints, prepare_datasets
from vitrial.study.plan import plan
from vitrial.study.run import run_stage
from vitrial.study.tune import tuning_stages
from vitrial.study.versions import DATA, VERSIONS

RECORD = Path(__file__).with_name("golden.json")
VERSION = {**VERSIONS, "data": DATA}

SIDE, GROUPS, CLASSES = 40, 24, ("a", "b", "c")

WATCHED = (
    ("order", "vitrial.train.fit", "training_order"),
    ("views", "vitrial.train.fit", "draw_views"),
    ("initial", "vitrial.study.run", "initial_model"),
    ("order", "vitrial.train.selfsupervised.pretrain", "shuffled_order"),
    ("views", "vitrial.train.selfsupervised.multicrop", "draw_views"),
    ("distortions", "vitrial.train.selfsupervised.multicrop", "draw_distortions"),
    ("initial", "vitrial.study.selfsupervise", "initial_model"),
    ("initial", "vitrial.study.selfsupervise", "started_siamese"),
)
"""What is watched: functions that draw, where stages call them."""


def golden_values(folder: Path) -> dict[str, dict[str, object]]:
    """By kind of stage, and for `data`: the version, what was drawn and what was computed.

    Args:
        folder: Empty; for the images, caches and the study.
    """
    protocol = trial(folder)
    register(folder / "study", protocol)
    datasets = prepare_datasets(protocol, folder / "caches")
    known = fingerprints(datasets)
    stages = [*plan(protocol, known), *tuning_stages(protocol, (2e-3,), known)]
    found = {kind: Watched() for kind in VERSION}
    _watch_data(found["data"], datasets["data"])
    lay_down(folder / "study", stages)
    done = set()
    for stage in stages:
        if stage.key not in done and (stage.kind != "tune" or stage.arm.initialization == "random"):
            done.add(stage.key)
            found[stage.kind].carry_out(stage, datasets, folder / "study")
    return {kind: {"version": VERSION[kind], **found[kind].values()} for kind in VERSION}


class Watched:
    """What was drawn and computed by the stages of one kind."""

    def __init__(self) -> None:
        self.digests: dict[str, hashlib._Hash] = {}
        self.computed: dict[str, list[float]] = {}

    def values(self) -> dict[str, object]:
        digests = {name: digest.hexdigest()[:16] for name, digest in self.digests.items()}
        return {"drawn": digests, "computed": self.computed}

    def see(self, name: str, what: object) -> None:
        """Integers by digest; floats as their sum and that of their squares."""
        if dataclasses.is_dataclass(what):
            for field in dataclasses.fields(what):
                self.see(f"{name}.{field.name}", getattr(what, field.name))
        elif isinstance(what, torch.nn.Module):
            # Each parameter in order: another one, shape or scale shows in the sum of squares.
            weights = torch.stack([p.detach().double().square().sum() for p in what.parameters()])
            first = next(iter(what.parameters())).detach().double().flatten()[:4]
            self.computed.setdefault(name, []).extend([*first.tolist(), float(weights.sum())])
        elif isinstance(what, list):
            for item in what:
                self.see(name, item)
        else:
            values = np.asarray(what)
            if values.dtype.kind == "f":
                sums = [float(values.sum(dtype=np.float64)), float(np.square(values).sum())]
                self.computed.setdefault(name, []).extend(sums)
            else:
                digest = self.digests.setdefault(name, hashlib.sha256())
                digest.update(f"{values.dtype.kind}{values.shape}".encode())
                digest.update(values.astype("<i8").tobytes())

    def carry_out(self, stage: Stage, datasets: dict[str, Prepared], root: Path) -> None:
        self.see("seed", stage.seed)
        with ExitStack() as watching:
            for name, module, function in WATCHED:
                original = getattr(import_module(module), function)
                spy = mock.Mock(side_effect=self._seen(name, original))
                watching.enter_context(mock.patch(f"{module}.{function}", spy))
            run_stage(root, stage.key, datasets=datasets, workers=0)
        folder = RunFolder(root / stage.folder)
        metrics = folder.metrics()
        names = [name for name in ("train_loss", "val_loss", "loss", "spread") if name in metrics]
        for name in names:
            self.computed.setdefault(name, []).extend(metrics[name].tolist())
        if stage.kind == "finetune":
            predictions = folder.predictions()
            logits = predictions.filter(like="logit").to_numpy()
            self.computed.setdefault("logits", []).extend(logits[::4].ravel().tolist())

    def _seen(self, name: str, original: object) -> object:
        def seen(*arguments: object, **options: object) -> object:
            result = original(*arguments, **options)
            self.see(name, result)
            return result

        return seen


def _watch_data(watched: Watched, data: Prepared) -> None:
    """Splits of a table with unequal groups, the draw of labels, and the channels' statistics."""
    rows = np.arange(300)
    groups = np.sort(np.random.default_rng(0).integers(0, 120, len(rows)))
    table = pd.DataFrame(
        {
            "image": [f"{i}.png" for i in rows],
            "label": [CLASSES[g % 7 % 3] for g in groups],
            "group": [f"patient-{g}" for g in groups],
            "sex": ["f" if g % 2 else "m" for g in groups],
        }
    )
    for split in (Split(), Split(grouped=False, seed=1), Split(stratify=["sex"])):
        parts = split_manifest(table, split).map(["train", "val", "test"].index)
        watched.see("split", parts.to_numpy())
    watched.see("labels", data.labeled_subset(0.5, seed=3).rows_of("train")["row"].to_numpy())
    watched.see("statistics", np.array([*data.mean, *data.std]))


def trial(folder: Path) -> Protocol:
    """A trial with every kind of stage, on images made of integers alone."""
    for name, shift in (("data", 0), ("other", 30)):
        _write_images(folder / name, shift)
    source = {"source": "csv", "table": "table.csv", "group": "group"}
    small = {"batch_size": 12, "epochs": 2, "precision": "fp32", "base_lr": 1e-3}
    pretraining = {**small, "warmup_epochs": 1, "hidden_dim": 32, "output_dim": 16}
    arms = [
        {"backbone": "test_efficientnet"},
        {"backbone": "test_vit"},
        {"backbone": "test_efficientnet", "initialization": "transfer:other"},
        {"backbone": "test_efficientnet", "initialization": "random+dino"},
        {"backbone": "test_vit", "initialization": "random+byol"},
    ]
    return Protocol(
        name="golden",
        data={**source, "root": folder / "data"},
        sources={"other": {**source, "root": folder / "other"}},
        split={"labeled": 0.75},
        image={"resize": SIDE},
        augment={"crop": 32},
        arms=arms,
        recipe={**small, "warmup_steps": 3},
        dino={**pretraining, "local_views": {"size": 32, "count": 1}},
        byol=pretraining,
        endpoint="balanced_accuracy",
        repetitions=1,
    )


def _write_images(folder: Path, shift: int) -> None:
    """Three classes of flat color with noise on it, two images a group."""
    folder.mkdir()
    rng = np.random.default_rng(shift)
    rows = []
    for group in range(GROUPS):
        label = group % len(CLASSES)
        for k in range(2):
            pixels = rng.integers(0, 120, (SIDE, SIDE, 3)) + shift
            pixels[..., label] += 60
            name = f"{group:02d}-{k}.png"
            Picture.fromarray(pixels.astype(np.uint8)).save(folder / name)
            rows.append({"image": name, "label": CLASSES[label], "group": f"g{group}"})
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
