import json
import os
import shutil
import signal
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vitrial.data.prepared import prepare_data
from vitrial.data.sources.phantom import PhantomData
from vitrial.errors import VitrialError
from vitrial.layout import CHECKPOINT, CHECKPOINT_BEFORE, WEIGHTS
from vitrial.models.backbone import build_backbone
from vitrial.protocol import Augment, Image, Plateau, Recipe, Split
from vitrial.records import DamagedError
from vitrial.tasks import TASKS
from vitrial.terminal import Stopped, stoppable
from vitrial.train.checkpoint import check_checkpoint, copy_of_weights, save_checkpoint
from vitrial.train.fit import (
    Training,
    _class_weights,
    _validate,
    fit,
)
from vitrial.train.launch import launch
from vitrial.train.step import train_step

AUGMENT = Augment(crop=32)


@pytest.fixture(scope="module")
def data(pixel_caches):
    phantoms = PhantomData(source="phantom", task="mammogram", patients=40, size=40)
    return prepare_data(phantoms, Split(), Image(resize=40, channels=1), pixel_caches)


def training_on(data, **recipe):
    recipe = Recipe(**{"warmup_steps": 2, "batch_size": 16, "epochs": 2, **recipe})
    return Training(data, recipe, AUGMENT, "roc_auc", data.mean, data.std, seed=7)


def model_for(data):
    torch.manual_seed(0)
    return build_backbone("test_resnet", len(data.classes), 1, AUGMENT.crop)


def run(data, folder, **recipe):
    training = training_on(data, **recipe)
    model = model_for(data)
    return model, fit(model, training, folder, launch(training.recipe.precision))


def test_history_says_all_and_checkpoint_holds_it(data, tmp_path):
    _, history = run(data, tmp_path)
    assert [row["epoch"] for row in history] == [1, 2]
    assert history[-1]["steps"] == 2 * -(-len(data.rows_of("train")) // 16)
    assert history[0]["score"] == history[0]["val_roc_auc"]
    assert json.loads(json.dumps(history)) == history
    checkpoint = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert checkpoint["history"] == history


def test_a_longer_training_goes_on_from_a_shorter_one(data, tmp_path):
    run(data, tmp_path / "parts", epochs=1)
    _, parts = run(data, tmp_path / "parts", epochs=2)
    _, whole = run(data, tmp_path / "whole", epochs=2)
    untimed = {"seconds": 0, "train_seconds": 0}
    for part, other in zip(parts, whole, strict=True):
        assert part | untimed == other | untimed


def test_told_to_stop_it_goes_on_within_the_epoch_to_the_bit(data, tmp_path, monkeypatch):
    def with_dropout():
        model = model_for(data)
        model.drop_rate = 0.5
        return model

    training = training_on(data)
    fabric = launch(training.recipe.precision)
    whole = fit(with_dropout(), training, tmp_path / "whole", fabric)
    steps, train = [], train_step
    stops = (2, whole[0]["steps"] + 1)  # in the first epoch, and in the second

    def stopping(*arguments):
        steps.append(train(*arguments))
        if len(steps) in stops:
            os.kill(os.getpid(), signal.SIGTERM)
        return steps[-1]

    monkeypatch.setattr("vitrial.train.fit.train_step", stopping)
    for left in stops:
        with pytest.raises(Stopped), stoppable():
            fit(with_dropout(), training, tmp_path / "stopped", fabric)
        assert len(steps) == left, "the batch was ended, and no other begun"
    stopped = fit(with_dropout(), training, tmp_path / "stopped", fabric)
    assert len(steps) == whole[-1]["steps"], "no step was repeated"
    untimed = {"seconds": 0, "train_seconds": 0}
    assert [row | untimed for row in stopped] == [row | untimed for row in whole]
    found, expected = (load_file(tmp_path / name / WEIGHTS) for name in ("stopped", "whole"))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_best_weights_are_those_of_the_best_epoch_even_below_zero(data, tmp_path, monkeypatch):
    scores = iter([-0.5, -0.2, -0.3])
    monkeypatch.setattr(
        "vitrial.train.fit.all_metrics", lambda targets, logits: {"roc_auc": next(scores)}
    )
    weights = []

    def on_epoch(history):
        weights.append(copy_of_weights(model))

    model, training = model_for(data), training_on(data, epochs=3)
    fit(model, training, tmp_path, launch(training.recipe.precision), on_epoch)
    saved = load_file(tmp_path / WEIGHTS)
    assert all(torch.equal(saved[name], tensor) for name, tensor in weights[1].items())
    assert not all(torch.equal(saved[name], tensor) for name, tensor in weights[2].items())


def test_the_best_weights_are_those_of_the_lowest_loss_where_lower_is_better(
    data, tmp_path, monkeypatch
):
    losses = iter([0.7, 0.5, 0.6, 0.6])
    monkeypatch.setattr("vitrial.train.fit.all_metrics", lambda *_: {"log_loss": next(losses)})
    plateau = Plateau(patience=1, final_lr=1e-4)
    training = training_on(data, epochs=9, base_lr=1e-3, warmup_steps=0, plateau=plateau)
    training = replace(training, endpoint="log_loss")
    states = []

    def remember(path, model, *rest):
        states.append(copy_of_weights(model))
        save_checkpoint(path, model, *rest)

    monkeypatch.setattr("vitrial.train.fit.save_checkpoint", remember)
    history = fit(model_for(data), training, tmp_path, launch("fp32"))
    assert [row["lr"] for row in history] == pytest.approx([1e-3, 1e-3, 1e-3, 1e-4])
    written = load_file(tmp_path / WEIGHTS)
    assert all(torch.equal(written[name], tensor) for name, tensor in states[1].items())


def test_a_crash_before_the_checkpoint_leaves_no_weights_of_an_epoch_that_it_does_not_know(
    data, tmp_path, monkeypatch
):
    """As on another machine, the second epoch comes out worse when it is trained again."""
    first, again = iter([0.5, 0.6]), iter([0.4])
    monkeypatch.setattr("vitrial.train.fit.all_metrics", lambda *_: {"roc_auc": next(first)})

    def crash(path, model, optimizer, history, *rest):
        if len(history) == 2:
            raise KeyboardInterrupt
        save_checkpoint(path, model, optimizer, history, *rest)

    with monkeypatch.context() as patched:
        patched.setattr("vitrial.train.fit.save_checkpoint", crash)
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path, epochs=2)
    monkeypatch.setattr("vitrial.train.fit.all_metrics", lambda *_: {"roc_auc": next(again)})
    _, history = run(data, tmp_path, epochs=2)
    assert [row["score"] for row in history] == [0.5, 0.4]
    monkeypatch.undo()
    run(data, tmp_path / "one", epochs=1)
    of_the_first = torch.load(tmp_path / "one" / CHECKPOINT, weights_only=True)["model"]
    written = load_file(tmp_path / WEIGHTS)
    assert all(torch.equal(written[name], tensor) for name, tensor in of_the_first.items())


def test_a_checkpoint_holds_the_best_weights_and_the_one_before_is_kept(data, tmp_path):
    """The weights go with the checkpoint that they belong to, whichever of the two is used."""
    run(data, tmp_path / "whole", epochs=3)
    run(data, tmp_path / "cut", epochs=2)
    (tmp_path / "cut" / WEIGHTS).unlink()
    shutil.copytree(tmp_path / "cut", tmp_path / "before")
    (tmp_path / "before" / CHECKPOINT).unlink()
    for name in ("cut", "before"):
        run(data, tmp_path / name, epochs=3)
        assert (tmp_path / name / WEIGHTS).read_bytes() == (
            tmp_path / "whole" / WEIGHTS
        ).read_bytes()
    assert (tmp_path / "cut" / CHECKPOINT_BEFORE).is_file()


@pytest.mark.parametrize("place", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_every_kind_of_damage_to_a_checkpoint_is_found(data, tmp_path, place):
    run(data, tmp_path, epochs=1)
    path = tmp_path / CHECKPOINT
    check_checkpoint(path, 7, "")
    with pytest.raises(DamagedError, match="damaged: way out"):
        check_checkpoint(path, 8, "way out")
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[int(place * len(content))] ^= 1
    for damaged in (content[: int(place * len(content))], b"", b"foreign", bytes(flipped)):
        path.write_bytes(damaged)
        try:
            check_checkpoint(path, 7, "way out")
        except DamagedError:
            continue
        # The .zip's own padding and time stamps decide nothing.
        path.write_bytes(content)
        expected = torch.load(path, weights_only=True)["model"]
        path.write_bytes(damaged)
        found = torch.load(path, weights_only=True)["model"]
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_rate_that_explodes_ends_with_a_sentence_and_keeps_the_last_checkpoint(data, tmp_path):
    run(data, tmp_path, epochs=1)
    before = (tmp_path / CHECKPOINT).read_bytes()
    poisoned = replace(training_on(data), mean=(float("nan"),))
    fabric = launch(poisoned.recipe.precision)
    with pytest.raises(VitrialError, match=r"no longer finite at batch 1 of epoch 2.*base_lr"):
        fit(model_for(data), poisoned, tmp_path, fabric)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_weights_that_explode_in_the_last_step_end_with_a_sentence(data, tmp_path):
    training = training_on(data)
    model = model_for(data)
    model.fc.weight.data.fill_(float("inf"))
    with pytest.raises(VitrialError, match=r"no longer finite"):
        _validate(model, training, 0, launch(training.recipe.precision))


def test_training_ends_when_the_score_has_saturated_at_the_final_rate(data, tmp_path, monkeypatch):
    monkeypatch.setattr("vitrial.train.fit.all_metrics", lambda targets, logits: {"roc_auc": 0.5})
    plateau = Plateau(patience=1, final_lr=1e-4)
    _, history = run(data, tmp_path, epochs=50, base_lr=1e-3, warmup_steps=0, plateau=plateau)
    # The first epoch is the best; each one after it saturates.
    assert [row["lr"] for row in history] == pytest.approx([1e-3, 1e-3, 1e-4])


def test_class_weights_make_every_class_count_equally(data):
    targets = np.repeat([0, 1], [30, 10])
    weights = _class_weights(targets, 2, Recipe(class_weights="balanced"))
    assert (weights * torch.tensor([30, 10])).tolist() == pytest.approx([20, 20])
    assert _class_weights(targets, 2, Recipe()) is None


def test_gradients_are_clipped_to_the_norm(data):
    recipe = Recipe(precision="fp32", base_lr=1.0, weight_decay=0.0)
    fabric = launch(recipe.precision)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    before = [p.detach().clone() for p in model.parameters()]
    network, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), lr=1.0))
    inputs, targets = torch.full((8, 1, 2, 2), 100.0), torch.arange(8) % 2
    train_step(network, optimizer, inputs, targets, None, 0.5, fabric)
    change = torch.cat([(p - b).flatten() for p, b in zip(model.parameters(), before, strict=True)])
    assert change.norm().item() == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 3.0])])
def test_a_batch_in_parts_gives_the_step_of_the_whole(weight):
    inputs, targets = torch.randn(7, 3, 32, 32), torch.tensor([0, 1, 1, 0, 1, 0, 1])
    fabric, found = launch("fp32"), []
    for parts in (1, 3):
        torch.manual_seed(0)
        model = build_backbone("test_vit", 2, 3, 32)
        network, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), lr=1.0))
        rest = (weight, None, fabric, TASKS["multiclass"], 1.0, parts)
        loss = train_step(network, optimizer, inputs, targets, *rest)
        found.append((loss, [p.detach() for p in model.parameters()]))
    (loss, whole), (same, in_parts) = found
    torch.testing.assert_close(same, loss)
    for one, other in zip(in_parts, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_network_learns_the_phantoms(pixel_caches, tmp_path):
    phantoms = PhantomData(source="phantom", task="fundus", patients=150, size=64)
    data = prepare_data(phantoms, Split(), Image(resize=64), pixel_caches)
    recipe = Recipe(base_lr=1e-3, warmup_steps=5, batch_size=16, epochs=6)
    augment = Augment(crop=56, scale=(0.8, 1.0))
    training = Training(data, recipe, augment, "quadratic_kappa", data.mean, data.std, seed=0)
    torch.manual_seed(0)
    model = build_backbone("test_resnet", 5, 3, 56)
    history = fit(model, training, tmp_path, launch(recipe.precision))
    assert max(row["score"] for row in history) > 0.4
    assert history[-1]["train_loss"] < history[0]["train_loss"]


@pytest.mark.filterwarnings("default")
def test_a_compiled_network_trains_and_goes_on(data, tmp_path, monkeypatch):
    # All but the making of kernels, which is PyTorch's own and takes a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    recipe = Recipe(compile=True, warmup_steps=2, batch_size=16, epochs=2)
    training = Training(data, recipe, AUGMENT, "roc_auc", data.mean, data.std, seed=7)
    for epochs in (1, 2):
        part = replace(training, recipe=recipe.model_copy(update={"epochs": epochs}))
        model = build_backbone("test_resnet", len(data.classes), 1, AUGMENT.crop)
        history = fit(model, part, tmp_path, launch(recipe.precision))
    assert [row["epoch"] for row in history] == [1, 2]
    assert all(np.isfinite(row["train_loss"]) for row in history)
