"""Several processes that were interrupted go on to the bit, the order of their sums included."""

from functools import partial
from itertools import count

import numpy as np
import pytest
import torch

from several_processes import in_processes
from vitrial.data.prepared import prepare_data
from vitrial.data.sources.phantom import PhantomData
from vitrial.models.backbone import build_backbone
from vitrial.protocol import Augment, Image, Recipe, Split
from vitrial.train.fit import Training, fit
from vitrial.train.selfsupervised.build import build_siamese
from vitrial.train.selfsupervised.methods.dino.recipe import Dino
from vitrial.train.selfsupervised.pretrain import Pretraining, pretrain

PROCESSES = 3
"""Two numbers have the same sum in either order; of three it may differ in the last bit."""


class Interrupted(Exception):
    pass


def interrupting(last):
    """A look at the backbone that, at its last call, interrupts all processes."""
    calls = count(1)

    def watch(_):
        if next(calls) == last:
            raise Interrupted
        return 0.0

    return watch


def data_of(caches):
    phantoms = PhantomData(source="phantom", patients=24, size=40)
    return prepare_data(phantoms, Split(), Image(resize=40), caches)


def supervised(caches, folder, fabric):
    """The weights after 2 epochs, and those of a training that begins again after 1."""
    data, weights = data_of(caches), []
    for name, ends in (("whole", [2]), ("resumed", [1, 2])):
        for epochs in ends:
            recipe = Recipe(batch_size=12, base_lr=1e-3, warmup_steps=2, epochs=epochs)
            given = (data, recipe, Augment(crop=32), "accuracy", data.mean, data.std)
            torch.manual_seed(0)
            model = build_backbone("test_vit", len(data.classes), 3, 32)
            fit(model, Training(*given, seed=7), folder / name, fabric)
        weights.append({name: value.numpy() for name, value in model.state_dict().items()})
    return weights


def selfsupervised(caches, folder, fabric):
    """As `supervised`, of DINO; it is interrupted within its second epoch."""
    recipe = Dino(
        batch_size=12,
        epochs=2,
        warmup_epochs=1,
        knn_every=1,
        base_lr=4e-3,
        hidden_dim=16,
        output_dim=16,
        local_views={"size": 32, "count": 1},
    )
    data, weights = data_of(caches), []
    given = (data.without_labels(), recipe, Augment(crop=32), data.mean, data.std)
    for name, ends in (("whole", [None]), ("resumed", [3, None])):
        for end in ends:
            torch.manual_seed(0)
            siamese = build_siamese(recipe, "test_vit", 3, 32)
            try:
                pretraining = Pretraining(*given, seed=7)
                pretrain(siamese, pretraining, folder / name, fabric, interrupting(end))
            except Interrupted:
                assert end is not None
        weights.append({name: value.numpy() for name, value in siamese.state_dict().items()})
    return weights


@pytest.mark.slow
@pytest.mark.parametrize("work", [supervised, selfsupervised])
def test_processes_that_go_on_add_in_the_order_of_those_that_were_not_interrupted(
    work, tmp_path, pixel_caches
):
    whole, resumed = in_processes(partial(work, pixel_caches, tmp_path), PROCESSES)
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
