"""Maps are read at the tokens that the class is read from, whatever else the model carries."""

import numpy as np
import pytest
import timm
import torch
from torch.nn.functional import cross_entropy

from vitrial.errors import VitrialError
from vitrial.explain.maps import explain_images, fitting_methods
from vitrial.explain.methods.attribution import carried
from vitrial.explain.tokens import class_tokens, recorded, self_attention_blocks

SMALL = {"img_size": 32, "patch_size": 4, "embed_dim": 48, "depth": 2, "num_heads": 3}
POOLING = [
    ("vit_tiny_patch16_224", {}),
    ("deit_tiny_distilled_patch16_224", {}),
    ("vit_small_patch14_reg4_dinov2", {}),
    ("vit_small_patch14_reg4_dinov2", {"global_pool": "avg"}),
    ("vit_small_patch14_reg4_dinov2", {"global_pool": "avg", "pool_include_prefix": True}),
    ("vit_medium_patch16_gap_240", {}),
    ("beit_base_patch16_224", {}),
    ("eva02_tiny_patch14_224", {}),
    ("vit_small_patch16_dinov3", {}),
]

ANY_MODEL = ("input_gradient", "integrated_gradients")


def small(name, **options):
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=2, **SMALL, **options).eval()


def images_of(n=2):
    return torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("name", "options"), POOLING)
def test_the_class_depends_on_the_tokens_that_are_read_and_on_them_alike(name, options):
    model = small(name, **options)
    tokens = model.forward_features(images_of()).detach()
    tokens = (tokens[0] if isinstance(tokens, tuple) else tokens).requires_grad_()
    model.fc_norm = torch.nn.Identity()  # keeps the head linear in the tokens
    logits = model.forward_head(tokens)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), tokens)
    read = class_tokens(model)
    assert gradient[:, read].abs().amax(dim=2).min() > 0
    weights = gradient[0].norm(dim=1)
    rest = torch.ones(len(weights), dtype=torch.bool)
    rest[read] = False
    assert not weights[rest].any()
    if not hasattr(model, "head_dist"):  # whose two heads weight differently
        torch.testing.assert_close(weights[read], weights[read][:1].expand_as(weights[read]))


@pytest.mark.parametrize(("name", "options"), POOLING)
def test_attention_and_attribution_equal_the_rows_written_out(name, options):
    model, images = small(name, **options), images_of()
    read = {"token": [0], "avg": range(model.num_prefix_tokens, 64 + model.num_prefix_tokens)}
    rows = list(read[model.global_pool])
    rows = [0, 1] if hasattr(model, "head_dist") else rows
    rows = list(range(64 + model.num_prefix_tokens)) if options.get("pool_include_prefix") else rows
    with recorded(self_attention_blocks(model)) as attention:
        logits = model(images)
        target = logits.argmax(dim=1)
        chosen = logits.gather(1, target[:, None]).sum()
        gradients = torch.autograd.grad(chosen, attention)
    shares = torch.stack([attention[-1][:, :, row, -64:] for row in rows]).mean(dim=0)
    found = explain_images(model, images, "attention")
    np.testing.assert_allclose(found.heads.reshape(2, 3, 64), shares.detach(), atol=1e-6)

    first, second = (
        torch.clamp(a.detach() * g, min=0).mean(dim=1)
        for a, g in zip(attention, gradients, strict=True)
    )
    relevance = first + second + second @ first  # (1 + second) (1 + first) less 1
    expected = torch.stack([relevance[:, row, -64:] for row in rows]).mean(dim=0)
    found = explain_images(model, images, "attribution")
    np.testing.assert_allclose(found.values.reshape(2, 64), expected, rtol=1e-4, atol=1e-8)


def test_without_gradients_there_is_no_relevance():
    # The identity alone would be a map that is the same everywhere.
    attention = [torch.full((1, 2, 5, 5), 0.2)] * 3
    assert not carried(attention, [torch.zeros(1, 2, 5, 5)] * 3).any()


@pytest.mark.parametrize("pool", ["map", "max", "avgmax"])
def test_other_poolings_are_refused_in_a_sentence(pool):
    model, images = small("vit_base_patch16_siglip_224", global_pool=pool), images_of()
    assert list(fitting_methods(model, images[:1])) == ["gradcam", *ANY_MODEL]
    for method in ("attention", "rollout", "attribution"):
        with pytest.raises(VitrialError, match=f"pools its tokens by '{pool}'.*by gradcam"):
            explain_images(model, images, method)


def marked(count, generator):
    """Noise with one bright square of 8 x 8 pixels, red or blue: images, classes, masks."""
    images = 0.3 * torch.randn(count, 3, 32, 32, generator=generator)
    classes = torch.randint(2, (count,), generator=generator)
    masks = torch.zeros(count, 32, 32, dtype=torch.bool)
    for i, corner in enumerate(4 * torch.randint(7, (count, 2), generator=generator)):
        y, x = corner.tolist()
        images[i, 2 * classes[i], y : y + 8, x : x + 8] += 3
        masks[i, y : y + 8, x : x + 8] = True
    return images, classes, masks.numpy()


@pytest.mark.parametrize(
    "name", ["beit_base_patch16_224", "eva02_tiny_patch14_224", "vit_medium_patch16_gap_240"]
)
def test_a_planted_mark_is_found_by_models_that_pool_their_patches(name):
    model, generator = small(name), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(60):
        images, classes, _ = marked(32, generator)
        optimizer.zero_grad()
        cross_entropy(model(images), classes).backward()
        optimizer.step()
    images, classes, masks = marked(100, generator)
    for method in ("attention", "attribution"):
        found = explain_images(model, images, method)
        assert (found.target == classes.numpy()).mean() > 0.95, "the mark gives the class away"
        heat = found.upsampled(32, 32)
        peaks = heat.reshape(100, -1).argmax(axis=1)
        pointing = masks.reshape(100, -1)[np.arange(100), peaks].mean()
        assert pointing > 0.75, method
    energy = (heat * masks).sum(axis=(1, 2)) / heat.sum(axis=(1, 2))
    assert energy.mean() > 0.2, "chance is 1/16"
