from itertools import pairwise

import numpy as np
import pytest
import timm
import torch
from scipy.stats import spearmanr

from vitrial.explain.measures.sanity import cascade, changes, rank_correlation


def models(name, **options):
    torch.manual_seed(0)
    return [timm.create_model(name, num_classes=3, **options).eval() for _ in range(2)]


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "xcit_nano_12_p16_224"])
def test_the_cascade_goes_from_the_head_down_and_ends_with_a_random_model(name):
    size = {"img_size": 64} if name.startswith("vit") else {}
    model, fresh = models(name, **size)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    steps = []
    for layers in cascade(model, fresh):
        now = model.state_dict()
        steps.append((layers, {k for k in now if not torch.equal(now[k], before[k])}))
    assert "head" in steps[0][0] or "fc" in steps[0][0]
    changed = [names for _, names in steps]
    assert all(less <= more for less, more in pairwise(changed))
    assert all(torch.equal(v, fresh.state_dict()[k]) for k, v in model.state_dict().items())


def test_batch_normalization_is_randomized_with_its_statistics():
    model, fresh = models("resnet10t")
    model.bn1.running_mean += 7
    for _ in cascade(model, fresh):
        pass
    assert not model.bn1.running_mean.any()


def test_rank_correlation_is_scipys_and_0_for_constant_maps():
    random = np.random.default_rng(0)
    first, second = random.random((3, 4, 5)), random.integers(0, 4, (3, 4, 5))
    expected = [
        spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(rank_correlation(first, second), expected)
    assert rank_correlation(first, np.zeros((3, 4, 5))).tolist() == [0, 0, 0]


def test_attention_does_not_see_the_head_and_gradcam_does():
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    left = {}
    for method in ("attention", "gradcam"):
        found = changes(*models("vit_tiny_patch16_224", img_size=64), images, method)
        left[method] = {step: values for step, _, values in found}
    np.testing.assert_allclose(left["attention"][1], 1)
    assert (left["gradcam"][1] < 0.99).any()
    assert max(left["attention"]) == 14  # head, 12 blocks, and what comes before them
    assert np.abs(left["attention"][14]).mean() < 0.9
