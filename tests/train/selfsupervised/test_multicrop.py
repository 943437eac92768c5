import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from vitrial.data.augment import draw_views
from vitrial.protocol import Augment
from vitrial.protocol.file import load_protocol
from vitrial.seeds import generator_of
from vitrial.train.selfsupervised.methods.byol.recipe import Byol
from vitrial.train.selfsupervised.methods.dino.recipe import Dino
from vitrial.train.selfsupervised.multicrop import multicrop

PIXELS = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)
AUGMENT = Augment(crop=48)
DINO = Dino()
LARGE, LOCAL = DINO.global_views, DINO.local_views
VIEWS = [(LARGE[0], 48), (LARGE[1], 48), (LOCAL, 32), (LOCAL, 32)]


def make(*seed, recipe=DINO, views=VIEWS, pixels=PIXELS):
    return multicrop(pixels, views, recipe, AUGMENT, MEAN, STD, *seed)


def test_sizes_and_seeds():
    crops = make("a", 1)
    assert [tuple(crop.shape) for crop in crops] == [(3, 3, 48, 48)] * 2 + [(3, 3, 32, 32)] * 2
    assert all(torch.equal(a, b) for a, b in zip(crops, make("a", 1), strict=True))
    assert not torch.equal(crops[0], make("a", 2)[0])
    assert not torch.equal(crops[2], crops[3])


def test_another_view_changes_no_other():
    assert torch.equal(make("a", views=VIEWS[:3])[2], make("a")[2])


def test_a_local_view_is_the_antialiased_crop_of_torchvision():
    plain = Dino(
        jitter=None, grayscale=0.0, local_views={"blur": 0.0, "scale": [0.4, 0.6], "size": 32}
    )
    (crops,) = make("b", recipe=plain, views=[(plain.local_views, 32)])
    augment = AUGMENT.model_copy(update={"scale": (0.4, 0.6), "jitter": None})
    drawn = draw_views(augment, 3, 64, generator_of("b", 0))
    for image, box, (upside_down, mirrored), crop in zip(
        PIXELS, drawn.crops.tolist(), drawn.flips.tolist(), crops, strict=True
    ):
        expected = tv.resized_crop(
            image.permute(2, 0, 1).float() / 255, *box, [32, 32], antialias=True
        )
        expected = tv.vertical_flip(expected) if upside_down else expected
        expected = tv.horizontal_flip(expected) if mirrored else expected
        torch.testing.assert_close(
            crop, tv.normalize(expected, list(MEAN), list(STD)), atol=1e-4, rtol=0
        )


def test_byols_two_views_differ_in_solarization():
    gray = torch.full((64, 32, 32, 3), 200, dtype=torch.uint8)
    recipe = Byol(jitter=None)
    crops = make("c", recipe=recipe, views=[(v, 32) for v in recipe.views], pixels=gray)
    bright = [
        (crop * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)).mean((1, 2, 3))
        for crop in crops
    ]
    assert (bright[0] > 0.5).all()
    assert 2 < (bright[1] < 0.5).sum() < 30


def test_views_flip_as_the_recipe_says_and_else_as_augment_does():
    """Images that are bright above and on the left show how they were flipped."""
    corner = torch.zeros((64, 32, 32, 3), dtype=torch.uint8)
    corner[:, :16, :16] = 255
    plain = {"jitter": None, "grayscale": 0.0}

    def flipped(**changes):
        recipe = Dino.model_validate(plain | changes)
        view = recipe.global_views[0].model_copy(update={"scale": (1.0, 1.0), "blur": 0.0})
        (crops,) = make("d", recipe=recipe, views=[(view, 32)], pixels=corner)
        bright = crops[:, 0]
        below = bright[:, 16:].mean((1, 2)) > bright[:, :16].mean((1, 2))
        right = bright[:, :, 16:].mean((1, 2)) > bright[:, :, :16].mean((1, 2))
        return bool(below.any()), bool(right.any())

    assert flipped() == (True, True)
    assert flipped(vflip=0.0) == (False, True)
    assert flipped(hflip=0.0) == (True, False)


@pytest.mark.parametrize("name", ["matsoukas2021", "matsoukas2021-isic2019"])
def test_the_papers_protocols_flip_views_as_its_authors_do(name):
    protocol = load_protocol(name)
    assert (protocol.dino.hflip, protocol.dino.vflip) == (0.5, 0.0)
    assert protocol.augment.vflip == 0.5
