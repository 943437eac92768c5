"""One stage, from its initialization to its weights and, in a run, its predictions."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import nn

from vitrial.data.prepared import Prepared
from vitrial.evaluate.knn import knn_predict
from vitrial.evaluate.predict import CentralView, predict
from vitrial.layout import WEIGHTS
from vitrial.metrics import ENDPOINTS
from vitrial.models.initialization import weights_record
from vitrial.protocol import Protocol, Recipe
from vitrial.store.run_folder import RunFolder
from vitrial.study.initial import initial_model, normalization
from vitrial.study.plan import Stage
from vitrial.study.selfsupervise import selfsupervise
from vitrial.train.checkpoint import History
from vitrial.train.fit import Training, fit
from vitrial.train.launch import launch

OnEpoch = Callable[[History], None]


def run_stage(
    stage: Stage,
    protocol: Protocol,
    data: Prepared,
    root: Path,
    workers: int,
    on_epoch: OnEpoch = lambda history: None,
) -> None:
    """Train a stage in its folder below `root`; a finetuning then predicts, test images once.

    Raises:
        VitrialError: Its weights cannot be had, or training came to no good.
    """
    if labeled := stage.inputs.get("labeled"):
        data = data.labeled_subset(**labeled)
    folder = RunFolder(root / stage.folder)
    fabric = launch(stage.recipe.precision)
    folder.begin(_identity(stage, protocol, data, fabric))
    if not isinstance(stage.recipe, Recipe):
        selfsupervise(stage, protocol, data, root, workers, fabric, on_epoch)
        return
    start = RunFolder(root / stage.start.folder).weights() if stage.start else None
    weights = None if stage.start else weights_record(stage.arm)
    shape = (len(data.classes), protocol.image.channels, protocol.augment.crop)
    model = initial_model(stage.arm, *shape, stage.seed, start)
    mean, std = normalization(stage.recipe.normalize, model, data.mean, data.std)
    endpoint = stage.inputs["endpoint"]
    training = Training(
        data, stage.recipe, protocol.augment, endpoint, mean, std, stage.seed, workers
    )
    # A stage that lacks no more than its predictions, or its result, is not trained again.
    history = folder.trained() or fit(model, training, folder.path, fabric, on_epoch)
    started = time.perf_counter()
    if stage.kind == "finetune":
        model.load_state_dict(load_file(folder.path / WEIGHTS))
        folder.write_predictions(predictions(model, training, fabric))
    best = max(history, key=lambda row: ENDPOINTS[endpoint].gain(row["score"]))
    seconds = {name: sum(row[name] for row in history) for name in ("seconds", "train_seconds")}
    folder.finish(
        {
            "best_epoch": best["epoch"],
            "best_score": best["score"],
            "epochs": len(history),
            "normalization": {"mean": mean, "std": std},
            "training_seconds": seconds["seconds"],
            "evaluation_seconds": time.perf_counter() - started,
            "images_per_second": len(history)
            * len(data.rows_of("train"))
            / seconds["train_seconds"],
            "parameters": sum(p.numel() for p in model.parameters()),
            "weights": weights,
        },
        history,
    )


def predictions(model: nn.Module, training: Training, fabric: Fabric) -> pd.DataFrame:
    """Predictions for the validation and test images, a row each.

    Returns:
        Columns image, label, group, split, target, knn (class index by nearest neighbors among
        the training images' features) and logit_0 ... for each class.
    """
    data = training.data
    view = CentralView(training.augment.crop, training.mean, training.std, fabric.device)
    model = model.to(fabric.device).eval()

    def outputs(split: str) -> tuple[np.ndarray, np.ndarray]:
        images, batch_size = data.images_of(split), training.recipe.batch_size
        return predict(model, images, view, fabric.autocast, batch_size, training.workers)

    _, neighbors = outputs("train")
    neighbor_classes = data.images_of("train").targets
    tables = []
    for split in ("val", "test"):
        logits, features = outputs(split)
        table = data.rows_of(split)[["image", "label", "group", "split", "target"]]
        table = table.assign(knn=knn_predict(neighbors, neighbor_classes, features))
        tables.append(table.assign(**{f"logit_{c}": logits[:, c] for c in range(logits.shape[1])}))
    return pd.concat(tables, ignore_index=True)


def _identity(
    stage: Stage,
    protocol: Protocol,
    data: Prepared,
    fabric: Fabric,
) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "kind": stage.kind,
        "arm": stage.arm.model_dump(mode="json"),
        "model": stage.arm.model,
        "repetition": stage.repetition,
        "seed": stage.seed,
        "start": stage.start.folder if stage.start else None,
        "protocol": protocol.hash(),
        "recipe": stage.recipe.model_dump(mode="json"),
        "data": {"name": data.name, "fingerprint": data.fingerprint(), "split": data.split_hash()},
        "labeled": stage.inputs.get("labeled"),
        "classes": data.classes,
        "channels": protocol.image.channels,
        "crop": protocol.augment.crop,
        "code": stage.inputs["code"],
        "machine": machine(fabric),
    }


def machine(fabric: Fabric) -> dict[str, Any]:
    """What a run's bits may depend on besides its key."""
    cuda = fabric.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "precision": fabric.strategy.precision.precision,
        "threads": torch.get_num_threads(),
        "cpu": platform.processor() or platform.machine(),
    }
