import json
import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from vitrial.data.prepared import prepare_data
from vitrial.data.sources.phantom import PhantomData
from vitrial.errors import VitrialError
from vitrial.layout import WEIGHTS
from vitrial.models.backbone import build_backbone
from vitrial.protocol import Arm, Augment, Image, Split
from vitrial.study.selfsupervise import neighbors_on_validation, started_siamese
from vitrial.terminal import Stopped, stoppable
from vitrial.train.launch import launch
from vitrial.train.selfsupervised.methods.byol.recipe import Byol
from vitrial.train.selfsupervised.methods.dino.recipe import Dino
from vitrial.train.selfsupervised.pretrain import Pretraining, pretrain, pretrain_step

SMALL = {"epochs": 3, "batch_size": 16, "warmup_epochs": 1, "base_lr": 4e-3, "knn_every": 2}
DINO = Dino(
    **SMALL, hidden_dim=64, bottleneck_dim=32, output_dim=64, local_views={"size": 32, "count": 2}
)
BYOL = Byol(**SMALL, hidden_dim=64, output_dim=32)
CNN, VIT = "test_resnet", "test_vit"


@pytest.fixture(scope="module")
def data(pixel_caches):
    phantoms = PhantomData(source="phantom", patients=40, size=56)
    return prepare_data(phantoms, Split(), Image(resize=56), pixel_caches)


def begin(data, recipe, backbone=CNN):
    images = data.without_labels()
    augment = Augment(crop=48)
    pretraining = Pretraining(images, recipe, augment, data.mean, data.std, seed=1)
    torch.manual_seed(2)
    start = build_backbone(backbone, 0, 3, 48)
    return started_siamese(Arm(backbone=backbone), start, pretraining), pretraining


@pytest.mark.parametrize("backbone", [CNN, VIT])
@pytest.mark.parametrize("recipe", [DINO, BYOL], ids=["dino", "byol"])
def test_an_interrupted_pretraining_goes_on_to_the_bit(data, tmp_path, recipe, backbone):
    class Interrupted(Exception):
        pass

    def interrupt(history):
        if len(history) == 1:
            raise Interrupted

    fabric = launch("bf16")
    whole, pretraining = begin(data, recipe, backbone)
    expected = pretrain(whole, pretraining, tmp_path / "whole", fabric)
    with pytest.raises(Interrupted):
        pretrain(*begin(data, recipe, backbone), tmp_path / "cut", fabric, on_epoch=interrupt)
    found = pretrain(*begin(data, recipe, backbone), tmp_path / "cut", fabric)

    def bits(history):
        return [{k: v for k, v in row.items() if "seconds" not in k} for row in history]

    assert bits(found) == bits(expected)
    ours, theirs = (load_file(tmp_path / name / WEIGHTS) for name in ("cut", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert ours.keys() == build_backbone(backbone, 0, 3, 48).state_dict().keys()


def test_told_to_stop_it_goes_on_within_the_epoch_to_the_bit(data, tmp_path, monkeypatch):
    recipe = DINO.model_copy(update={"epochs": 1, "drop_path": 0.5})

    def trained(name, watch):
        siamese, pretraining = begin(data, recipe, VIT)
        history = pretrain(siamese, pretraining, tmp_path / name, launch("fp32"), watch)
        return [{k: v for k, v in row.items() if "seconds" not in k} for row in history]

    looks = iter([0.25, 0.5, 0.25, 0.5])  # at the weights that it starts from, and at the end
    expected = trained("whole", lambda backbone: next(looks))
    steps = []

    def stopping(*arguments):
        steps.append(pretrain_step(*arguments))
        if len(steps) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return steps[-1]

    monkeypatch.setattr("vitrial.train.selfsupervised.pretrain.pretrain_step", stopping)
    with pytest.raises(Stopped), stoppable():
        trained("stopped", lambda backbone: next(looks))
    assert trained("stopped", lambda backbone: next(looks)) == expected
    assert len(steps) == expected[-1]["steps"], "no step was repeated"
    found, whole = (load_file(tmp_path / name / WEIGHTS) for name in ("stopped", "whole"))
    assert all(torch.equal(found[name], whole[name]) for name in whole)


def test_one_step_a_batch_after_clipping_and_then_the_teacher(data):
    """The paper's own code steps twice a batch, and clips in between."""
    siamese, _ = begin(data, DINO.model_copy(update={"clip_norm": 1e-3}))
    fabric = launch("fp32")
    optimizer = torch.optim.SGD([p for p in siamese.parameters() if p.requires_grad], lr=1.0)
    network, optimizer = fabric.setup(siamese, optimizer)
    steps = []
    optimizer.optimizer.register_step_pre_hook(lambda *_: steps.append(1))
    before = {name: p.detach().clone() for name, p in siamese.named_parameters()}
    views = [torch.randn(4, 3, size, size) for _, size in siamese.views]
    pretrain_step(network, siamese, optimizer, views, epoch=5, momentum=0.75, fabric=fabric)

    assert len(steps) == 1
    after = dict(siamese.named_parameters())
    moved = [after[n] - before[n] for n in after if n.startswith("student.")]
    assert torch.cat([m.flatten() for m in moved]).norm().item() == pytest.approx(1e-3, rel=1e-2)
    for name in (name for name in after if name.startswith("teacher.")):
        student = after[name.replace("teacher.", "student.", 1)]
        torch.testing.assert_close(after[name], 0.75 * before[name] + 0.25 * student)


def test_dinos_last_layer_rests_in_the_first_epoch(data):
    siamese, _ = begin(data, DINO)
    fabric = launch("fp32")
    learning = [p for p in siamese.parameters() if p.requires_grad]
    network, optimizer = fabric.setup(siamese, torch.optim.AdamW(learning, lr=0.1))
    views = [torch.randn(4, 3, size, size) for _, size in siamese.views]
    last = siamese.student.head.last_layer.weight_v
    before = last.detach().clone()
    pretrain_step(network, siamese, optimizer, views, 0, 0.9, fabric)
    assert torch.equal(last, before)
    pretrain_step(network, siamese, optimizer, views, 1, 0.9, fabric)
    assert not torch.equal(last, before)


def test_both_branches_start_from_the_given_weights(data):
    siamese, _ = begin(data, DINO, VIT)
    torch.manual_seed(2)
    start = build_backbone(VIT, 0, 3, 48)
    images = torch.randn(2, 3, 48, 48)
    for branch in (siamese.student, siamese.teacher):
        torch.testing.assert_close(branch.backbone.eval()(images), start.eval()(images))


def test_a_vit_interpolates_its_positions_for_local_views(data):
    siamese, _ = begin(data, DINO, VIT)
    assert siamese.student.backbone(torch.randn(2, 3, 32, 32)).shape == (2, 64)
    assert siamese.student.backbone(torch.randn(2, 3, 48, 48)).shape == (2, 64)


def test_stochastic_depth_is_the_students_alone(data):
    recipe = DINO.model_copy(update={"drop_path": 0.5})
    siamese, _ = begin(data, recipe, VIT)
    images = torch.randn(8, 3, 48, 48)
    siamese.train()
    student, teacher = siamese.student.backbone, siamese.teacher.backbone
    assert not torch.equal(student(images), student(images))
    assert torch.equal(teacher(images), teacher(images))


def test_an_architecture_without_stochastic_depth_or_sizes_is_told(data):
    with pytest.raises(VitrialError, match="vgg11 has no stochastic depth: set drop_path to 0"):
        begin(data, DINO, "vgg11")
    with pytest.raises(VitrialError, match="cannot take views of 32 pixels beside 48"):
        begin(data, DINO, "mixer_s16_224")


def test_the_neighbors_are_looked_at_before_and_during(data, tmp_path):
    siamese, pretraining = begin(data, DINO)
    fabric = launch("fp32")
    watch = neighbors_on_validation(data, pretraining, fabric)
    before = watch(siamese.teacher.backbone)
    history = pretrain(siamese, pretraining, tmp_path, fabric, watch)
    assert history[0]["knn_before"] == before
    assert ["knn" in row for row in history] == [False, True, True]
    names = {"loss", "lr", "momentum", "weight_decay", "entropy", "information", "spread"}
    assert names <= history[0].keys()
    json.dumps(history)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        # Without sharpening, and without a center, every image gets the same output.
        ({"teacher_temperature": (5.0, 5.0)}, "the outputs of all images are alike"),
        ({"center_momentum": 1.0, "momentum": 0.0, "base_lr": 1.0}, "of all images are alike"),
    ],
)
def test_a_collapse_ends_the_stage_with_a_sentence(data, tmp_path, changes, what):
    recipe = DINO.model_copy(update={"epochs": 30, **changes})
    siamese, pretraining = begin(data, recipe)
    with pytest.raises(VitrialError, match=rf"has collapsed: .*{what}"):
        pretrain(siamese, pretraining, tmp_path, launch("fp32"))
    assert not (tmp_path / WEIGHTS).exists()


def test_a_loss_that_is_not_finite_ends_the_stage(data, tmp_path):
    siamese, pretraining = begin(data, DINO)
    with torch.no_grad():
        next(siamese.student.parameters()).fill_(float("nan"))
    with pytest.raises(VitrialError, match="no longer finite at batch 1 of epoch 1: lower base_lr"):
        pretrain(siamese, pretraining, tmp_path, launch("fp32"))
