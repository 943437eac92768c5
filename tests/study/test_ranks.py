"""Two processes that train one model together do what one does, but for rounding."""

from functools import partial

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import nn

from several_processes import in_processes
from tiny_study import PROTOCOL
from vitrial.data.batches import CachedImages
from vitrial.data.prepared import prepare_data
from vitrial.data.shares import balance, every, share_of, together
from vitrial.data.sources.phantom import PhantomData
from vitrial.errors import VitrialError
from vitrial.evaluate.predict import CentralView, predict
from vitrial.events import EpochEnded
from vitrial.metrics import all_metrics
from vitrial.models.backbone import build_backbone
from vitrial.protocol import Augment, Image, Recipe, Split
from vitrial.protocol.file import load_protocol
from vitrial.study.execute import run
from vitrial.train.fit import Training, fit
from vitrial.train.selfsupervised.build import build_siamese
from vitrial.train.selfsupervised.methods.dino.recipe import Dino
from vitrial.train.selfsupervised.pretrain import pretrain_step
from vitrial.train.step import train_step
from vitrial.train.synchronized import synchronize_batch_norm

STEPS = 3
DINO = Dino(
    batch_size=8,
    hidden_dim=16,
    output_dim=16,
    local_views={"size": 32, "count": 1},
    drop_path=0,  # each process has draws of its own
)


def supervised(fabric):
    """Steps on batches of 7 images, whose classes weigh differently; float64."""
    torch.manual_seed(0)
    # PyTorch's own batch normalization beside timm's, which has an activation.
    model = nn.Sequential(build_backbone("test_resnet", 3, 3, 32), nn.BatchNorm1d(3)).double()
    if fabric.world_size > 1:
        model = synchronize_batch_norm(model, fabric.device)
    network, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), lr=0.1))
    network.train()
    weight, losses = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64), []
    for step in range(STEPS):
        torch.manual_seed(step)
        inputs, targets = torch.randn(7, 3, 32, 32).double(), torch.tensor([0, 1, 2, 0, 1, 2, 2])
        share = share_of(7)
        shares = (weight, 1.0, fabric)
        losses.append(
            train_step(
                network, optimizer, inputs[share], targets[share], *shares,
                balance=balance(weight[targets].numpy()),
            )
        )  # fmt: skip
    return weights_and_gradients(model)


def selfsupervised(fabric):
    """Steps of DINO; float64."""
    torch.manual_seed(0)
    siamese = build_siamese(DINO, "test_resnet", 3, 32).double()
    if fabric.world_size > 1:
        siamese = synchronize_batch_norm(siamese, fabric.device)
    learning = [p for p in siamese.parameters() if p.requires_grad]
    network, optimizer = fabric.setup(siamese, torch.optim.SGD(learning, lr=0.1))
    network.train()
    for step in range(STEPS):
        torch.manual_seed(step)
        views = [torch.randn(8, 3, size, size).double()[share_of(8)] for _, size in siamese.views]
        shares = (0.9, fabric, balance(np.ones(8)))
        pretrain_step(network, siamese, optimizer, views, 5, *shares)
    return weights_and_gradients(siamese)


def weights_and_gradients(model):
    """Statistics among the weights; gradients of the last step."""
    learning = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    gradients = {f"gradient of {name}": grad.numpy() for name, grad in learning.items()}
    return gradients | {name: value.numpy() for name, value in model.state_dict().items()}


def evaluated(fabric):
    """Metrics, logits and features of 13 images in batches of 3, by a model that is the same."""
    pixels = np.random.default_rng(0).integers(0, 256, (13, 32, 32, 3), dtype=np.uint8)
    images = CachedImages(Pixels(pixels), np.arange(13), np.arange(13) % 3)
    torch.manual_seed(0)
    model = build_backbone("test_resnet", 3, 3, 32).eval()
    view = CentralView(32, (0.5,) * 3, (0.2,) * 3, fabric.device)
    logits, features = predict(model, images, view, fabric.autocast, 3, 0)
    return {**all_metrics(images.targets, logits), "logits": logits, "features": features}


class Pixels:
    """A pixel cache in memory."""

    def __init__(self, pixels):
        self.read = pixels.__getitem__


def trained(caches, folder, fabric):
    """Epochs of Adam at a rate that amplifies rounding, each validated; float64."""
    phantoms = PhantomData(source="phantom", task="mammogram", patients=24, size=40)
    data = prepare_data(phantoms, Split(), Image(resize=40, channels=1), caches)
    recipe = Recipe(batch_size=7, base_lr=1e-3, warmup_steps=2, epochs=6)
    mean, std = data.mean, data.std
    training = Training(data, recipe, Augment(crop=32), "roc_auc", mean, std, seed=7)
    torch.manual_seed(0)
    model = build_backbone("test_resnet", 2, 1, 32).double()
    for name in ("forward_features", "forward_head"):  # whose input has 32 bits
        setattr(model, name, in_double(getattr(model, name)))
    history = fit(model, training, folder / str(fabric.world_size), fabric)
    return {
        f"{name}, epoch {row['epoch']}": value
        for row in history
        for name, value in row.items()
        if "seconds" not in name
    }


def in_double(function):
    return lambda x, **options: function(x.double(), **options)


def assert_as_alone(work):
    """Two processes give what one does, within a millionth; what that is."""
    alone = work(Fabric(accelerator="cpu", devices=1, plugins=LightningEnvironment()))
    found = in_processes(work, 2)
    assert found.keys() == alone.keys()
    for name, value in alone.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-6, err_msg=name)
    return alone


@pytest.mark.slow
@pytest.mark.parametrize("work", [supervised, selfsupervised])
def test_gradients_weights_and_statistics_are_those_of_one_process(work):
    alone = assert_as_alone(work)
    assert any("running_var" in name for name in alone)
    assert work is supervised or any("center" in name for name in alone)


@pytest.mark.slow
def test_predictions_and_their_metrics_are_those_of_one_process():
    assert len(assert_as_alone(evaluated)["logits"]) == 13


@pytest.mark.slow
def test_in_float64_a_training_keeps_the_metrics_of_one_process(tmp_path, pixel_caches):
    alone = assert_as_alone(partial(trained, pixel_caches, tmp_path))
    assert alone["train_loss, epoch 6"] < alone["train_loss, epoch 1"]


@pytest.mark.slow
def test_a_study_on_two_devices_has_the_scores_of_one(tmp_path, pixel_caches):
    (tmp_path / "tiny.yaml").write_text(PROTOCOL)
    protocol = load_protocol(tmp_path / "tiny.yaml")
    told = []
    studies = [
        run(protocol, tmp_path / str(n), cache=pixel_caches, listen=told.append, devices=n)
        for n in (1, 2)
    ]
    for (_, alone), (stage, both) in zip(*(study.runs() for study in studies), strict=True):
        expected, found = alone.predictions(), both.predictions()
        assert found["image"].tolist() == expected["image"].tolist(), "each image counts once"
        found, expected = found.filter(like="logit"), expected.filter(like="logit")
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6, err_msg=stage.name)
        for name, value in alone.metrics().items():
            if "seconds" not in name:
                found = both.metrics()[name]
                np.testing.assert_allclose(found, value, rtol=0, atol=1e-6, err_msg=name)
        assert both.attempts()[0].machine.device == "2 x cpu"
        assert both.stage().key == alone.stage().key
    epochs = [event.epoch for event in told if isinstance(event, EpochEnded)]
    assert epochs == 2 * [1, 2, 3, 1, 1, 2, 3]


def test_shares_are_a_batch_and_parts_come_back_in_order(monkeypatch):
    def place(rank):
        monkeypatch.setattr("vitrial.data.shares.rank_and_size", lambda: (rank, 3))

    assert (share_of(5), balance(np.ones(5)), together([1], 1)) == (slice(0, 5), 1.0, [1])
    shares, balances, parts = [], [], []
    for rank in range(3):
        place(rank)
        shares.append(np.arange(8)[share_of(8)].tolist())
        balances.append(balance(np.arange(1.0, 9.0)))
        parts.append(every(list(range(7))))
    assert shares == [[0, 1], [2, 3, 4], [5, 6, 7]]
    assert np.allclose(np.array(balances) / 3, [3 / 36, 12 / 36, 21 / 36])

    def gather(into, mine):
        into[:] = parts

    monkeypatch.setattr("vitrial.data.shares.distributed.all_gather_object", gather)
    assert together(parts[0], 7) == list(range(7))
    with pytest.raises(VitrialError, match="A batch of 2 images cannot be divided among 3 devices"):
        share_of(2)
