"""What all methods share: a student that learns, and a teacher that slowly follows it."""

from __future__ import annotations

from typing import Any

import torch
from lightly.models.utils import update_momentum
from torch import nn

from vitrial.protocol import SelfSupervision, View


class Branch(nn.Module):
    """A backbone with a projection head.

    Args:
        backbone: timm's model without a head: images to features (n, embed_dim).
        head: Features to projections.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (n, embed_dim) and projections (n, output_dim) of images of one size."""
        features = self.backbone(images)
        return features, self.head(features)


class Siamese(nn.Module):
    """Two branches of the same shape. The teacher takes no gradient, and is what is kept.

    Args:
        student: Learns by gradient.
        teacher: Follows the student. Statistics of batch normalization are its own, of the views
            that it sees.
        views: How each view of an image is drawn, and its side in pixels.
        recipe: How to train.
    """

    def __init__(
        self,
        student: Branch,
        teacher: Branch,
        views: list[tuple[View, int]],
        recipe: SelfSupervision,
    ) -> None:
        super().__init__()
        self.student, self.teacher, self.views, self.recipe = student, teacher, views, recipe
        self.teacher.load_state_dict(student.state_dict())
        self.teacher.requires_grad_(False)

    def start_from(self, weights: dict[str, torch.Tensor]) -> None:
        """Give both backbones these weights."""
        self.student.backbone.load_state_dict(weights)
        self.teacher.backbone.load_state_dict(weights)

    def before_step(self, epoch: int) -> None:
        """Called between the gradient and the optimizer's step, before clipping."""

    def after_step(self, momentum: float) -> None:
        """Move the teacher: momentum x its own parameters + (1 - momentum) x the student's."""
        update_momentum(self.student, self.teacher, momentum)

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that the backbone exempts from weight decay."""
        exempt: Any = getattr(self.student.backbone, "no_weight_decay", set)
        return {f"student.backbone.{name}" for name in exempt()}


def full(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32 at least: a loss is not computed with the 8 bits of a bfloat16."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def spread(features: torch.Tensor) -> torch.Tensor:
    """How far features differ between images: 0 if all are alike, about 1 if isotropic.

    The standard deviation of each dimension of the normalized features, on average, times
    sqrt(dimensions), as in Chen and He, "Exploring Simple Siamese Representation Learning" (CVPR
    2021, sec. 4.1).

    Args:
        features: (n, dimensions).
    """
    normalized = nn.functional.normalize(full(features), dim=1)
    each: torch.Tensor = normalized.std(dim=0, correction=0)
    scale: float = features.shape[1] ** 0.5
    return each.mean() * scale
