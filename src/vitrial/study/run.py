"""One stage, from its initialization to its weights and, in a run, its predictions."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import nn

from vitrial.data.prepared import Prepared
from vitrial.errors import VitrialError
from vitrial.evaluate.knn import knn_predict
from vitrial.evaluate.predict import CentralView, predict
from vitrial.events import EpochEnded, tell
from vitrial.layout import WEIGHTS
from vitrial.metrics import ENDPOINTS
from vitrial.protocol import Recipe
from vitrial.store.program import program
from vitrial.store.run_folder import RunFolder, stage_folder
from vitrial.store.stage import Attempt, Machine, Normalization, Result
from vitrial.study.begun import Begun
from vitrial.study.datasets import Datasets, chosen, data_of
from vitrial.study.initial import initial_model, normalization
from vitrial.study.out_of_memory import is_out_of_memory, out_of_memory_sentence
from vitrial.study.selfsupervise import selfsupervise
from vitrial.train.checkpoint import History
from vitrial.train.fit import Training, fit
from vitrial.train.launch import launch


def run_stage(
    study: Path,
    key: str,
    *,
    cache: Path | None = None,
    workers: int | None = None,
    datasets: Datasets | None = None,
    devices: int = 1,
    nodes: int = 1,
) -> None:
    """Carry out a stage: nothing is needed but the study's folder and the stage's key.

    What the stage is stands in its folder, and the data are those of the registered protocol. A
    finetuning then predicts, test images once. The stages that it starts from must be done, and no
    other process may be at it: `vitrial.study.carry_out` sees to both.

    Args:
        study: The study's folder.
        key: In which the name of the stage's folder ends.
        cache: Where pixel caches lie.
        workers: Threads that read batches ahead; chosen for the machine if left out.
        datasets: The study's, where they are prepared already.
        devices: That train it together; this is then one of as many processes.
        nodes: With as many devices each, that train it together.

    Raises:
        VitrialError: There is no such stage, the data are not those that it was planned for, its
            weights cannot be had, training diverged, or memory ran out.
    """
    folder = stage_folder(study, key)
    stage = folder.stage()
    fabric = launch(stage.recipe.precision, devices, nodes)
    data = data_of(study, stage, cache) if datasets is None else chosen(stage, datasets)
    start = None if stage.start is None else RunFolder(study / stage.start).weights()
    if fabric.is_global_zero:
        folder.begin(Attempt(machine(fabric), program()))
    begun = Begun(stage, folder, data, start, fabric, default_workers(workers))
    result = None
    try:
        result = train(begun) if isinstance(stage.recipe, Recipe) else selfsupervise(begun)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    if result is None:  # what the step had taken is free again
        raise VitrialError(out_of_memory_sentence(stage, fabric))
    if fabric.is_global_zero:
        folder.finish(result)


def train(begun: Begun) -> Result:
    """Train with labels; a finetuning then writes its predictions."""
    stage, data, folder, fabric = begun.stage, begun.data, begun.folder, begun.fabric
    assert isinstance(stage.recipe, Recipe)
    assert isinstance(data, Prepared)
    assert stage.endpoint is not None
    weights = begun.weights_record()
    shape = (len(data.classes), stage.image.channels, stage.augment.crop)
    model = initial_model(stage.arm, *shape, stage.seed, begun.start)
    mean, std = normalization(stage.recipe.normalize, model, data.mean, data.std)
    training = Training(
        data, stage.recipe, stage.augment, stage.endpoint, mean, std, stage.seed, begun.workers
    )
    metric = ENDPOINTS[stage.endpoint]

    def best(history: History) -> dict[str, Any]:
        return max(history, key=lambda row: metric.gain(row["score"]))

    def on_epoch(history: History) -> None:
        folder.write_metrics(history)
        row, top = history[-1], best(history)
        tell(
            EpochEnded(
                stage=stage.name,
                epoch=row["epoch"],
                score=metric.name,
                value=row["score"],
                best=top["score"],
                best_epoch=top["epoch"],
            )
        )

    # A stage that lacks no more than its predictions, or its result, is not trained again.
    history = folder.trained() or fit(model, training, folder.path, fabric, on_epoch)
    started = time.perf_counter()
    if stage.kind == "finetune":
        model.load_state_dict(load_file(folder.path / WEIGHTS))
        table = predictions(model, training, fabric)
        if fabric.is_global_zero:
            folder.write_predictions(table)
    trained = sum(row["train_seconds"] for row in history)
    return Result(
        epochs=len(history),
        history=history,
        training_seconds=sum(row["seconds"] for row in history),
        images_per_second=len(history) * len(data.rows_of("train")) / trained,
        classes=tuple(data.classes),
        normalization=Normalization(mean, std),
        weights=weights,
        parameters=sum(p.numel() for p in model.parameters()),
        best_epoch=best(history)["epoch"],
        best_score=best(history)["score"],
        evaluation_seconds=time.perf_counter() - started,
        images=len(data.rows_of("train")),
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


def machine(fabric: Fabric) -> Machine:
    """What a run's bits may depend on besides its key."""
    device = torch.cuda.get_device_name() if fabric.device.type == "cuda" else "cpu"
    return Machine(
        device=device if fabric.world_size == 1 else f"{fabric.world_size} x {device}",
        precision=fabric.strategy.precision.precision,
        threads=torch.get_num_threads(),
        cpu=platform.processor() or platform.machine(),
    )


def default_workers(workers: int | None) -> int:
    """As asked; else a few for a GPU, none on a CPU, where reading is nothing beside training."""
    if workers is not None:
        return workers
    return min(4, os.cpu_count() or 1) if torch.cuda.is_available() else 0
