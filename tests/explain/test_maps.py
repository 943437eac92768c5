"""Maps against other people's code, and against formulas written out."""

import warnings

import numpy as np
import pytest
import timm
import torch
from torch.nn.functional import softmax

from vitrial.errors import VitrialError
from vitrial.explain.maps import explain_images, fitting_methods, upsample
from vitrial.explain.methods import METHODS
from vitrial.explain.methods.attribution import carried
from vitrial.explain.methods.rollout import rolled_out
from vitrial.explain.shown import top_mass
from vitrial.explain.tokens import recorded, self_attention_blocks

ANY_MODEL = ("input_gradient", "integrated_gradients")


def model_of(name, **options):
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=5, **options).eval()


def images_of(side, channels=3, n=2):
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def deit():
    return model_of("deit_small_patch16_224")


def package_gradcam(model, layer, images, classes, reshape=None):
    """Maps at the images' size, in [0, 1], by the `grad-cam` package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        with GradCAM(model, [layer], reshape_transform=reshape) as cam:
            return cam(images, [ClassifierOutputTarget(int(c)) for c in classes])


def as_the_package_shows(explanation, side):
    """Scaled, resized and scaled again."""
    return scaled(upsample(scaled(explanation.values), side, side))


def scaled(maps):
    """To [0, 1], each map by itself."""
    maps = maps - maps.min(axis=(1, 2), keepdims=True)
    return maps / (1e-7 + maps.max(axis=(1, 2), keepdims=True))


@pytest.mark.parametrize("target", [None, 1])
def test_gradcam_of_a_resnet50_equals_the_grad_cam_package(target):
    model, images = model_of("resnet50"), images_of(96)
    ours = explain_images(model, images, "gradcam", target)
    theirs = package_gradcam(model, model.layer4[-1], images, ours.target)
    assert ours.values.shape == (2, 3, 3)
    assert ours.values.any()
    np.testing.assert_allclose(as_the_package_shows(ours, 96), theirs, atol=1e-5)


@pytest.mark.parametrize("target", [None, 3])
def test_gradcam_of_a_deit_equals_the_grad_cam_package(target):
    deit = model_of("deit_small_patch16_224")
    images = images_of(224)
    ours = explain_images(deit, images, "gradcam", target)
    theirs = package_gradcam(
        deit,
        deit.blocks[-1].norm1,
        images,
        ours.target,
        lambda tokens: tokens[:, 1:].reshape(len(tokens), 14, 14, -1).permute(0, 3, 1, 2),
    )
    assert ours.values.any()
    np.testing.assert_allclose(as_the_package_shows(ours, 224), theirs, atol=1e-5)


def test_cls_attention_equals_the_softmax_written_out(deit):
    images = images_of(224)
    with torch.no_grad():
        tokens = deit._pos_embed(deit.patch_embed(images))
        for block in deit.blocks[:-1]:
            tokens = block(tokens)
        layer, tokens = deit.blocks[-1].attn, deit.blocks[-1].norm1(tokens)
        q, k, _ = (tokens @ layer.qkv.weight.T + layer.qkv.bias).chunk(3, dim=-1)
        heads, d = 6, 64
        by_head = [
            softmax(q[..., d * h : d * h + d] @ k[..., d * h : d * h + d].mT / d**0.5, dim=-1)
            for h in range(heads)
        ]
    attention = torch.stack(by_head, dim=1)
    found = explain_images(deit, images, "attention")
    expected = attention[:, :, 0, 1:].reshape(2, heads, 14, 14).numpy()
    np.testing.assert_allclose(found.heads, expected, atol=1e-6)
    np.testing.assert_allclose(found.values, expected.mean(axis=1), atol=1e-6)
    with_cls = found.heads.sum(axis=(2, 3)) + attention[:, :, 0, 0].numpy()
    np.testing.assert_allclose(with_cls, 1, atol=1e-6)


def test_the_model_answers_as_ever_and_is_left_as_it_was():
    deit, images = model_of("deit_tiny_patch16_224", img_size=64), images_of(64)
    deit.train()
    fused = [block.attn.fused_attn for block in deit.blocks]
    found = {name: explain_images(deit, images, name) for name in METHODS.names()}
    assert deit.training
    assert all(module.training for module in deit.modules())
    assert all(p.requires_grad and p.grad is None for p in deit.parameters())
    assert [block.attn.fused_attn for block in deit.blocks] == fused
    assert not deit.blocks[-1].attn.attn_drop._forward_pre_hooks
    assert not deit.blocks[-1].norm1._forward_hooks
    deit.eval()
    with torch.no_grad():
        logits = deit(images).numpy()
    for name, explanation in found.items():
        np.testing.assert_allclose(explanation.logits, logits, atol=1e-5, err_msg=name)
        assert explanation.target.tolist() == logits.argmax(axis=1).tolist()
        assert explanation.values.dtype == np.float32
        assert (explanation.values >= 0).all()


def test_rollout_as_worked_out_on_paper():
    first = torch.tensor([[[0.0, 1.0], [0.5, 0.5]]])
    second = torch.tensor([[[1.0, 0.0], [0.2, 0.8]]])
    # (second + 1)/2 (first + 1)/2 = [[1, 0], [.1, .9]] [[.5, .5], [.25, .75]]
    expected = torch.tensor([[[0.5, 0.5], [0.275, 0.725]]])
    torch.testing.assert_close(rolled_out([first, second]), expected)


def test_attribution_as_worked_out_on_paper():
    # One head counts fully, of the other only the half that speaks for the class.
    attention = torch.tensor([[[[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.5, 0.5]]]])
    gradient = torch.tensor([[[[2.0, 0.0], [0.0, 1.0]], [[-1.0, 3.0], [4.0, -2.0]]]])
    # positive products: [[1, 0], [0, 1]] and [[0, 0], [2, 0]]; their mean A = [[.5, 0], [1, .5]]
    once = torch.tensor([[[0.5, 0.0], [1.0, 0.5]]])
    torch.testing.assert_close(carried([attention], [gradient]), once)
    # (1 + A) (1 + A) = [[2.25, 0], [3, 2.25]], less the identity
    twice = torch.tensor([[[1.25, 0.0], [3.0, 1.25]]])
    torch.testing.assert_close(carried([attention] * 2, [gradient] * 2), twice)


def test_rollout_rows_of_a_model_add_up_to_one(deit):
    with torch.no_grad(), recorded(self_attention_blocks(deit)) as attention:
        deit(images_of(224))
    assert len(attention) == 12
    for block in attention:
        torch.testing.assert_close(block.sum(dim=-1), torch.ones(2, 6, 197))
    through = rolled_out([block.mean(dim=1) for block in attention])
    torch.testing.assert_close(through.sum(dim=-1), torch.ones(2, 197))


@pytest.mark.parametrize(
    ("values", "mass", "kept"),
    [
        ([[4, 3], [2, 1]], 0.5, [[1, 1], [0, 0]]),  # 4 of 10 is not half yet
        ([[5, 3], [1, 1]], 0.5, [[1, 0], [0, 0]]),
        ([[1, 1], [1, 1]], 0.5, [[1, 1], [0, 0]]),
        ([[4, 3], [2, 1]], 0.0, [[0, 0], [0, 0]]),
        ([[4, 3], [2, 0]], 1.0, [[1, 1], [1, 0]]),
        ([[0, 0], [0, 0]], 0.5, [[1, 1], [1, 1]]),
    ],
)
def test_top_mass_as_counted_by_hand(values, mass, kept):
    found = top_mass(np.array(values, dtype=np.float32) / 10, mass)
    assert found.astype(int).tolist() == kept


@pytest.mark.parametrize(
    ("name", "side", "methods", "grid"),
    [
        ("resnet10t", 64, ["gradcam"], (2, 2)),
        ("convnext_atto", 64, ["gradcam"], (2, 2)),
        ("swin_tiny_patch4_window7_224", 224, ["gradcam"], (7, 7)),
        ("xcit_nano_12_p16_224", 64, ["gradcam", "attention"], (4, 4)),
        ("cait_xxs24_224", 64, ["gradcam", "attention"], (4, 4)),
        ("deit_tiny_distilled_patch16_224", 64, list(METHODS.entries())[:4], (4, 4)),
        ("vit_medium_patch16_gap_240", 64, list(METHODS.entries())[:4], (4, 4)),
        ("vit_small_patch14_reg4_dinov2", 56, list(METHODS.entries())[:4], (4, 4)),
    ],
)
def test_which_methods_fit_which_model(name, side, methods, grid):
    fixed = timm.models.get_pretrained_cfg(name).fixed_input_size
    model = model_of(name, **({"img_size": side} if fixed and "swin" not in name else {}))
    images = images_of(side)
    fitting = fitting_methods(model, images[:1])
    assert fitting == dict.fromkeys(methods, grid) | dict.fromkeys(ANY_MODEL, (side, side))
    for method in methods:
        assert explain_images(model, images, method).values.shape == (2, *grid)


def test_where_the_patches_are_pooled_it_is_said_where_maps_are_read():
    model = model_of("vit_medium_patch16_gap_240", img_size=64)
    found = explain_images(model, images_of(64), "attention")
    assert "mean over all patches" in found.note
    # Every patch's query gives 1, all of it to patches.
    np.testing.assert_allclose(found.values.sum(axis=(1, 2)), 1, atol=1e-5)
    assert explain_images(model, images_of(64), "gradcam").note == ""


def test_batches_of_any_size_and_one_channel_images_give_the_same_maps():
    model = model_of("vit_tiny_patch16_224", img_size=48, in_chans=1)
    images = images_of(48, channels=1, n=5)
    for method in METHODS.names():
        whole, parts = (explain_images(model, images, method, batch_size=size) for size in (5, 2))
        np.testing.assert_allclose(whole.values, parts.values, atol=1e-5, err_msg=method)
        assert whole.values.any(), method


def test_input_gradient_of_a_linear_model_is_its_weights():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, 2, bias=False))
    images = images_of(4)
    weights = model[1].weight.detach().reshape(2, 3, 4, 4)
    found = explain_images(model, images, "input_gradient", 1)
    np.testing.assert_allclose(found.values[0], weights[1].abs().amax(dim=0), atol=1e-6)
    parts = explain_images(model, images, "integrated_gradients", 1)
    expected = (weights[1] * images).sum(dim=1).abs()  # complete: the sum is the logit
    np.testing.assert_allclose(parts.values, expected, atol=1e-5)


def test_what_cannot_be_explained_is_told_in_a_sentence(deit):
    with pytest.raises(VitrialError, match="no method 'grad-cam', did you mean gradcam"):
        explain_images(deit, images_of(224), "grad-cam")
    with pytest.raises(VitrialError, match="no attention over the whole image"):
        explain_images(model_of("resnet10t"), images_of(64), "attention")
    with pytest.raises(VitrialError, match="rollout and attribution are for ViTs"):
        explain_images(model_of("xcit_nano_12_p16_224"), images_of(64), "rollout")
    with pytest.raises(VitrialError, match=r"target must lie in 0 \.\.\. 4"):
        explain_images(deit, images_of(224), "gradcam", 5)
    with pytest.raises(VitrialError, match="images must be"):
        explain_images(deit, images_of(224)[0])
