"""The losses against the papers' equations, written out in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from vitrial.train.selfsupervised.methods.byol.network import Byol
from vitrial.train.selfsupervised.methods.byol.recipe import Byol as ByolRecipe
from vitrial.train.selfsupervised.methods.dino.network import Dino, output_information
from vitrial.train.selfsupervised.methods.dino.recipe import Dino as DinoRecipe
from vitrial.train.selfsupervised.siamese import spread

N, K = 3, 7


class Fixed(nn.Module):
    """A branch that gives preset outputs, whatever it sees."""

    def __init__(self, *outputs):
        super().__init__()
        self.outputs = list(outputs)

    def forward(self, images):
        output = self.outputs.pop(0)
        assert len(output) == len(images)
        return output, output


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def dino_with(recipe):
    return Dino("resnet10t", 3, 32, recipe).double()


@pytest.mark.parametrize("local", [0, 3])
def test_dino_is_the_cross_entropy_of_equation_3_with_the_center_of_equation_4(local):
    recipe = DinoRecipe(
        output_dim=K,
        hidden_dim=8,
        local_views={"count": local, "size": 32},
        teacher_temperature=(0.04, 0.07),
        teacher_warmup_epochs=3,
        center_momentum=0.8,
    )
    random = np.random.default_rng(0)
    dino = dino_with(recipe)
    center = random.normal(size=K)
    dino.loss.center.copy_(torch.from_numpy(center).view(1, 1, K))
    views = [torch.zeros(N, 3, 32, 32, dtype=torch.float64)] * (2 + local)

    for epoch, temperature in enumerate((0.04, 0.055, 0.07, 0.07)):
        teacher = random.normal(size=(2, N, K)) * 0.1
        student = random.normal(size=(2 + local, N, K))
        dino.teacher = Fixed(torch.from_numpy(teacher.reshape(-1, K)))
        parts = [student[:2], student[2:]] if local else [student]
        dino.student = Fixed(*(torch.from_numpy(part.reshape(-1, K)) for part in parts))
        loss, watched = dino(views, epoch)

        targets, expected, pairs = softmax((teacher - center) / temperature), 0.0, 0
        for i in range(2):
            for j in range(2 + local):
                if i != j:
                    log_p = np.log(softmax(student[j] / 0.1))
                    expected += -(targets[i] * log_p).sum(axis=1).mean()
                    pairs += 1
        assert loss.item() == pytest.approx(expected / pairs, rel=1e-6)
        center = 0.8 * center + 0.2 * teacher.reshape(-1, K).mean(axis=0)
        np.testing.assert_allclose(dino.loss.center.numpy().ravel(), center, atol=1e-12)

        p = targets.reshape(-1, K)
        entropy = -(p * np.log(p)).sum(axis=1).mean()
        mean = p.mean(axis=0)
        assert watched["entropy"].item() == pytest.approx(entropy, rel=1e-6)
        information = -(mean * np.log(mean)).sum() - entropy
        assert watched["information"].item() == pytest.approx(information, rel=1e-6)


def test_byol_is_the_symmetrised_squared_distance_of_equation_2():
    random = np.random.default_rng(1)
    byol = Byol("resnet10t", 3, 32, ByolRecipe(hidden_dim=8, output_dim=K)).double()
    teacher, prediction = random.normal(size=(2, N, K)), random.normal(size=(2, N, K))
    byol.teacher = Fixed(*map(torch.from_numpy, teacher))
    byol.student = Fixed(*map(torch.from_numpy, prediction))
    byol.predictor = nn.Identity()
    loss, watched = byol([torch.zeros(N, 3, 32, 32)] * 2, epoch=0)

    def unit(x):
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    expected = sum(
        ((unit(prediction[i]) - unit(teacher[1 - i])) ** 2).sum(axis=1).mean() for i in range(2)
    )
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert watched["spread"].item() == pytest.approx(
        unit(teacher[0]).std(axis=0).mean() * np.sqrt(K), rel=1e-6
    )


def test_no_gradient_reaches_a_teacher():
    for siamese in (
        Dino("resnet10t", 3, 32, DinoRecipe(output_dim=K, local_views={"size": 32})),
        Byol("resnet10t", 3, 32, ByolRecipe(hidden_dim=8)),
    ):
        views = [torch.rand(4, 3, size, size) for _, size in siamese.views]
        siamese(views, 0)[0].backward()
        assert all(p.grad is None for p in siamese.teacher.parameters())
        learning = [p for p in siamese.parameters() if p.requires_grad]
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in learning)


def test_what_tells_a_collapse():
    same = torch.randn(1, K).expand(64, K)
    assert output_information(same, 0.1)["information"].item() == pytest.approx(0, abs=1e-5)
    assert spread(same).item() == pytest.approx(0, abs=1e-6)
    uniform = output_information(torch.zeros(64, K), 0.1)
    assert uniform["entropy"].item() == pytest.approx(np.log(K), rel=1e-5)
    assert uniform["information"].item() == pytest.approx(0, abs=1e-5)
    each_its_own = output_information(100 * torch.eye(K), 0.1)
    assert each_its_own["information"].item() == pytest.approx(np.log(K), rel=1e-5)
    assert spread(torch.randn(4096, 64)).item() == pytest.approx(1, abs=0.02)
