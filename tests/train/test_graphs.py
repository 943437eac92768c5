"""Steps replayed as CUDA graphs; those that need a GPU are skipped elsewhere."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from vitrial.models.backbone import build_backbone
from vitrial.protocol import Recipe
from vitrial.train.graphs import WARM_UP, Graphs, graphs_for, set_rate
from vitrial.train.launch import launch
from vitrial.train.optimizer import build_optimizer
from vitrial.train.step import train_step

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_a_checkpoint_of_a_gpu_goes_on_on_a_cpu():
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5, fused=True)
    optimizer.param_groups[0].update(capturable=True, lr=torch.tensor(0.5))
    fabric = launch("fp32")
    if fabric.device.type == "cpu":
        assert graphs_for(optimizer, Recipe(), fabric) is None
        set_rate(optimizer, 0.25)
        model(torch.ones(1, 3)).sum().backward()
        before = model.bias.detach().clone()
        optimizer.step()
        torch.testing.assert_close(before - model.bias, torch.full((2,), 0.25))


def test_a_rate_that_lies_on_a_device_stays_there():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=torch.tensor(0.5))
    rate = optimizer.param_groups[0]["lr"]
    set_rate(optimizer, 0.125)
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == 0.125


@needs_gpu
@pytest.mark.parametrize("backbone", ["resnet10t", "xcit_nano_12_p16_224"])
def test_replayed_steps_train_as_steps_one_by_one(backbone):
    fabric, recipe = launch("fp32"), Recipe(base_lr=1e-3)
    start = build_backbone(backbone, 3, 3, 32).to(memory_format=torch.channels_last)
    weights, losses = [], []
    for replay in (False, True):
        model = deepcopy(start)
        optimizer = build_optimizer(model, "adam", recipe.base_lr, 1e-5)
        network, optimizer = fabric.setup(model, optimizer)
        graphs = Graphs(optimizer.optimizer, fabric.device) if replay else None
        network.train()
        generator = torch.Generator().manual_seed(0)

        def step(inputs, targets, network=network, optimizer=optimizer):
            return train_step(network, optimizer, inputs, targets, None, 1.0, fabric)

        of_run = []
        for batch in range(2 * (WARM_UP + 4)):
            n = 8 - batch % 2  # two sizes, as an epoch has them
            inputs = torch.rand(n, 3, 32, 32, generator=generator).to(fabric.device)
            targets = torch.arange(n, device=fabric.device) % 3
            set_rate(optimizer, 1e-3 / (1 + batch))
            taken = graphs.take(step, inputs, targets) if graphs else step(inputs, targets)
            of_run.append(taken)
        if graphs:
            assert len(graphs._captured) == 2
        losses.append(torch.stack(of_run))
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(weights[0], weights[1], atol=1e-5, rtol=1e-4)
