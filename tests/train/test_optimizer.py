import pytest

from vitrial.models.backbone import build_backbone
from vitrial.train.optimizer import build_optimizer


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224"])
def test_only_weights_decay(name):
    model = build_backbone(name, 3, 3, 64)
    optimizer = build_optimizer(model, "adamw", 1e-3, 0.1)
    assert [g["decays"] for g in optimizer.param_groups] == [False, True]
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    for parameter_name, parameter in model.named_parameters():
        exempt = parameter.ndim == 1 or parameter_name in ("pos_embed", "cls_token")
        assert decays[id(parameter)] == (0 if exempt else 0.1), parameter_name
