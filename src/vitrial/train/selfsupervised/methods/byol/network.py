"""BYOL: bootstrap your own latent.

Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning" (NeurIPS
2020, arXiv:2006.07733), section 3. Loss and heads are lightly's.
"""

from __future__ import annotations

import torch
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead

from vitrial.models.backbone import build_for_views, feature_dim
from vitrial.protocol import View
from vitrial.train.selfsupervised.methods.byol.recipe import Byol as ByolRecipe
from vitrial.train.selfsupervised.siamese import Branch, Siamese, full, spread


class Byol(Siamese):
    """A student that predicts, from one view, the slowly moving teacher's projection of another.

    The paper calls them online and target network.

    Args:
        name: timm's name of the backbone.
        channels: Input channels.
        crop: Side of the views in pixels.
        recipe: Of BYOL.

    Attributes:
        predictor: From the student's projections to the teacher's; learns by gradient.
    """

    def __init__(self, name: str, channels: int, crop: int, recipe: ByolRecipe) -> None:
        views: list[tuple[View, int]] = [(view, crop) for view in recipe.views]

        def branch(drop_path: float) -> Branch:
            backbone = build_for_views(name, channels, (crop,), drop_path)
            embed_dim = feature_dim(backbone, crop, channels)
            head = BYOLProjectionHead(embed_dim, recipe.hidden_dim, recipe.output_dim)
            return Branch(backbone, head)

        super().__init__(branch(recipe.drop_path), branch(0.0), views, recipe)
        self.predictor = BYOLPredictionHead(recipe.output_dim, recipe.hidden_dim, recipe.output_dim)
        self.similarity = NegativeCosineSimilarity()

    def forward(
        self, views: list[torch.Tensor], epoch: int
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss, and what to watch.

        Args:
            views: Two, float32 (n, channels, crop, crop) each.
            epoch: Of no consequence here.

        Returns:
            The loss (eq. 2, and the same with the views exchanged; 0 to 8), and `spread` of the
            teacher's features.
        """
        with torch.no_grad():
            (features, first), (_, second) = (self.teacher(view) for view in views)
        ours = [self.predictor(self.student(view)[1]) for view in views]
        with torch.autocast(features.device.type, enabled=False):
            loss = byol_loss(full(ours[0]), full(second), self.similarity)
            loss = loss + byol_loss(full(ours[1]), full(first), self.similarity)
        return loss, {"spread": spread(features)}


def byol_loss(
    prediction: torch.Tensor, target: torch.Tensor, similarity: NegativeCosineSimilarity
) -> torch.Tensor:
    """Squared distance of the normalized vectors (n, output_dim), on average: 2 - 2 cos (eq. 2)."""
    distance: torch.Tensor = 2 + 2 * similarity(prediction, target)
    return distance


NETWORK = Byol
