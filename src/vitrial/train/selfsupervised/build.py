"""The untrained networks of a method of self-supervision, by its recipe."""

from __future__ import annotations

from vitrial.protocol import SelfSupervision
from vitrial.protocol.selfsupervision import method_of
from vitrial.train.selfsupervised.methods import NETWORKS
from vitrial.train.selfsupervised.siamese import Siamese


def build_siamese(recipe: SelfSupervision, name: str, channels: int, crop: int) -> Siamese:
    """The untrained student and teacher of the method that a recipe is of.

    Args:
        recipe: Of any method of `vitrial.train.selfsupervised.methods`.
        name: timm's name of the backbone.
        channels: Input channels.
        crop: Side of the large views in pixels.
    """
    network = NETWORKS.entry(method_of(recipe)).NETWORK
    siamese: Siamese = network(name, channels, crop, recipe)
    return siamese
