"""How BYOL trains."""

from __future__ import annotations

from pydantic import Field

from vitrial.protocol.section import Fraction, Width
from vitrial.protocol.selfsupervision import DecayPair, SelfSupervision, TwoViews, View


class Byol(SelfSupervision):
    """BYOL (Grill et al., "Bootstrap Your Own Latent", 2020).

    Attributes:
        views: The two views that predict each other, as in the paper's appendix B.
        hidden_dim: Width of the hidden layer of projector and predictor.
        output_dim: Of both.
    """

    momentum: Fraction = 0.99
    weight_decay: DecayPair = (0.04, 0.04)
    drop_path: float = Field(0.0, ge=0, lt=1)
    views: TwoViews = (
        View(scale=(0.08, 1.0), blur=1.0),
        View(scale=(0.08, 1.0), blur=0.1, solarize=0.2),
    )
    hidden_dim: Width = 4096
    output_dim: Width = 256


RECIPE = Byol
