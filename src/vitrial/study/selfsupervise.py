"""A stage of self-supervision, from its initialization to the teacher's weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from vitrial.data.prepared import Prepared
from vitrial.evaluate.knn import knn_predict
from vitrial.evaluate.predict import CentralView, predict
from vitrial.metrics import predicted_balanced_accuracy
from vitrial.models.initialization import weights_record
from vitrial.protocol import Arm, Protocol, SelfSupervision
from vitrial.seeds import seed_of
from vitrial.store.run_folder import RunFolder
from vitrial.study.initial import initial_model, normalization
from vitrial.study.plan import Stage
from vitrial.train.checkpoint import History
from vitrial.train.selfsupervised.pretrain import Pretraining, Watch, pretrain
from vitrial.train.selfsupervised.siamese import Siamese, build_siamese


def selfsupervise(
    stage: Stage,
    protocol: Protocol,
    data: Prepared,
    root: Path,
    workers: int,
    fabric: Fabric,
    on_epoch: Callable[[History], None],
) -> None:
    """Train a stage on the training images, and further ones, without their labels.

    Labels serve for looking on alone: nearest neighbors on validation decide nothing.

    Raises:
        VitrialError: Its weights cannot be had, or training came to no good.
    """
    assert isinstance(stage.recipe, SelfSupervision)
    weights = RunFolder(root / stage.start.folder).weights() if stage.start else None
    record = None if stage.start else weights_record(stage.arm)
    shape = (0, protocol.image.channels, protocol.augment.crop)
    start = initial_model(stage.arm, *shape, stage.seed, weights)
    mean, std = normalization(protocol.recipe.normalize, start, data.mean, data.std)
    pretraining = Pretraining(
        data.without_labels(), stage.recipe, protocol.augment, mean, std, stage.seed, workers
    )
    folder = RunFolder(root / stage.folder)
    history = folder.trained()
    if history is None:
        siamese = started_siamese(stage.arm, start, pretraining)
        watch = neighbors_on_validation(data, pretraining, fabric)
        history = pretrain(siamese, pretraining, folder.path, fabric, watch, on_epoch)
    folder.finish({**summary(history, pretraining), "weights": record}, history)


def started_siamese(arm: Arm, start: nn.Module, pretraining: Pretraining) -> Siamese:
    """The recipe's student and teacher, both with the weights of `start`."""
    channels, crop = len(pretraining.mean), pretraining.augment.crop
    torch.manual_seed(seed_of(pretraining.seed, "heads"))
    siamese = build_siamese(pretraining.recipe, arm.model, channels, crop)
    siamese.start_from(start.state_dict())
    return siamese


def neighbors_on_validation(data: Prepared, pretraining: Pretraining, fabric: Fabric) -> Watch:
    """A look at a backbone: balanced accuracy of the validation images' nearest neighbors."""
    crop, batch_size = pretraining.augment.crop, pretraining.recipe.batch_size
    view = CentralView(crop, pretraining.mean, pretraining.std, fabric.device)
    train, val = data.images_of("train"), data.images_of("val")

    def watch(backbone: nn.Module) -> float:
        backbone.eval()
        known, asked = (
            predict(backbone, images, view, fabric.autocast, batch_size, pretraining.workers)[1]
            for images in (train, val)
        )
        return predicted_balanced_accuracy(val.targets, knn_predict(known, train.targets, asked))

    return watch


def summary(history: History, pretraining: Pretraining) -> dict[str, Any]:
    """The result of self-supervision, for `result.json`."""
    seconds = sum(row["seconds"] for row in history)
    trained = sum(row["train_seconds"] for row in history)
    return {
        "epochs": len(history),
        "knn_before": history[0].get("knn_before"),
        "knn": history[-1].get("knn"),
        "images": len(pretraining.images),
        "normalization": {"mean": pretraining.mean, "std": pretraining.std},
        "training_seconds": seconds,
        "images_per_second": len(history) * len(pretraining.images) / trained,
    }
