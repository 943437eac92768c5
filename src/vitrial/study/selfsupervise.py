"""A stage of self-supervision, from its initialization to the teacher's weights."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import nn

from vitrial.data.prepared import Prepared
from vitrial.evaluate.knn import knn_predict
from vitrial.evaluate.predict import CentralView, predict
from vitrial.events import EpochEnded, tell
from vitrial.metrics.answers import predicted_balanced_accuracy
from vitrial.protocol import Arm, SelfSupervision
from vitrial.seeds import seed_of
from vitrial.store.stage import Normalization, Result
from vitrial.study.begun import Begun
from vitrial.study.initial import initial_model, normalization
from vitrial.train.checkpoint import History
from vitrial.train.selfsupervised.build import build_siamese
from vitrial.train.selfsupervised.pretrain import Pretraining, Watch, pretrain
from vitrial.train.selfsupervised.siamese import Siamese


def selfsupervise(begun: Begun) -> Result:
    """Train a stage on the training images, and further ones, without their labels.

    Labels, where there are any, serve for looking on alone: nearest neighbors on validation decide
    nothing.

    Raises:
        VitrialError: Its weights cannot be had, or training diverged.
    """
    stage, data, folder = begun.stage, begun.data, begun.folder
    assert isinstance(stage.recipe, SelfSupervision)
    weights = begun.weights_record()
    shape = (0, stage.image.channels, stage.augment.crop)
    start = initial_model(stage.arm, *shape, stage.seed, begun.start)
    mean, std = normalization(stage.normalize, start, data.mean, data.std)
    images = data.without_labels()
    pretraining = Pretraining(
        images, stage.recipe, stage.augment, mean, std, stage.seed, begun.workers
    )

    def on_epoch(history: History) -> None:
        folder.write_metrics(history)
        looks = [row["knn"] for row in history if "knn" in row]
        neighbors = (history[0]["knn_before"], looks[-1]) if looks else None
        epoch, loss = history[-1]["epoch"], history[-1]["loss"]
        tell(EpochEnded(stage.name, epoch, "loss", loss, loss, epoch, neighbors))

    history = folder.trained()
    if history is None:
        siamese = started_siamese(stage.arm, start, pretraining)
        watch = None
        if isinstance(data, Prepared):
            watch = neighbors_on_validation(data, pretraining, begun.fabric)
        history = pretrain(siamese, pretraining, folder.path, begun.fabric, watch, on_epoch)
    trained = sum(row["train_seconds"] for row in history)
    return Result(
        epochs=len(history),
        history=history,
        training_seconds=sum(row["seconds"] for row in history),
        images_per_second=len(history) * len(images) / trained,
        classes=(),
        normalization=Normalization(mean, std),
        weights=weights,
        images=len(images),
        knn_before=history[0].get("knn_before"),
        knn=history[-1].get("knn"),
    )


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
