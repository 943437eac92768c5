"""DINO: self-distillation with no labels.

Caron et al., "Emerging Properties in Self-Supervised Vision Transformers" (ICCV 2021,
arXiv:2104.14294), section 3.1 and appendix A. Loss and head are lightly's.
"""

from __future__ import annotations

import warnings

import torch
from lightly.loss import DINOLoss
from lightly.models.modules.heads import DINOProjectionHead
from torch import nn
from torch.nn.functional import softmax

from vitrial.models.backbone import build_for_views, feature_dim
from vitrial.protocol import View
from vitrial.train.selfsupervised.methods.dino.recipe import Dino as DinoRecipe
from vitrial.train.selfsupervised.siamese import Branch, Siamese, full, spread


class Dino(Siamese):
    """A student that predicts, from any view, what a slowly moving teacher makes of a large one.

    Args:
        name: timm's name of the backbone.
        channels: Input channels.
        crop: Side of the large views in pixels.
        recipe: Of DINO.

    Attributes:
        loss: With the center of the teacher's outputs.
    """

    recipe: DinoRecipe

    def __init__(self, name: str, channels: int, crop: int, recipe: DinoRecipe) -> None:
        local = recipe.local_views
        views: list[tuple[View, int]] = [(view, crop) for view in recipe.global_views]
        views += [(local, local.size)] * local.count
        sizes = tuple(dict.fromkeys(size for _, size in views))

        def branch(drop_path: float) -> Branch:
            backbone = build_for_views(name, channels, sizes, drop_path)
            return Branch(backbone, _head(feature_dim(backbone, crop, channels), recipe))

        super().__init__(branch(recipe.drop_path), branch(0.0), views, recipe)
        self.loss = DINOLoss(
            recipe.output_dim,
            student_temp=recipe.student_temperature,
            center_momentum=recipe.center_momentum,
        )

    def forward(
        self, views: list[torch.Tensor], epoch: int
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss, and what to watch.

        Args:
            views: As `self.views` lists them, float32 (n, channels, size, size) each.
            epoch: From 0.

        Returns:
            The loss (eq. 3); `spread` of the teacher's features, `entropy` of its outputs in
            nats, and `information` (see `output_information`).
        """
        temperature = teacher_temperature(epoch, self.recipe)
        large = torch.cat(views[:2])
        with torch.no_grad():
            features, targets = self.teacher(large)
        outputs = [self.student(large)[1]]
        if views[2:]:
            outputs.append(self.student(torch.cat(views[2:]))[1])
        n = len(views[0])
        with torch.autocast(large.device.type, enabled=False):
            targets = full(targets)
            watched = output_information(targets - self.loss.center[0], temperature)
            loss = self.loss(
                list(torch.split(targets, n)),
                list(torch.split(full(torch.cat(outputs)), n)),
                teacher_temp=temperature,
            )
        return loss, {"spread": spread(features), **watched}

    def before_step(self, epoch: int) -> None:
        """Leave the last layer as it is in the first epochs (app. A)."""
        if epoch < self.recipe.freeze_last_layer:
            for parameter in self.student.head.last_layer.parameters():  # type: ignore[union-attr]
                parameter.grad = None


def output_information(outputs: torch.Tensor, temperature: float) -> dict[str, torch.Tensor]:
    """How much the teacher's outputs tell.

    Args:
        outputs: Centered logits (n, output_dim).
        temperature: Of the softmax.

    Returns:
        `entropy`: of an image's output p, in nats, on average: H(p). `information`: how much the
        outputs tell of which image they are of, H(mean of p) - mean of H(p), in nats: 0 if every
        image has the same output, be it uniform or one-hot, and ln(n) at most. DINO's section 5.3
        names these two ways to collapse.
    """
    p = softmax(outputs / temperature, dim=1)
    each, mean = torch.special.entr(p).sum(dim=1).mean(), torch.special.entr(p.mean(dim=0)).sum()
    return {"entropy": each, "information": mean - each}


def _head(embed_dim: int, recipe: DinoRecipe) -> nn.Module:
    with warnings.catch_warnings():
        # lightly still uses the older of torch's two weight normalizations.
        warnings.simplefilter("ignore", FutureWarning)
        head: nn.Module = DINOProjectionHead(
            embed_dim, recipe.hidden_dim, recipe.bottleneck_dim, recipe.output_dim
        )
    return head


def teacher_temperature(epoch: int, recipe: DinoRecipe) -> float:
    """Linear growth over `recipe.teacher_warmup_epochs`, then constant.

    Args:
        epoch: From 0.
        recipe: The two temperatures and the number of epochs between them.
    """
    first, last = recipe.teacher_temperature
    share = min(1.0, epoch / max(1, recipe.teacher_warmup_epochs - 1))
    return last if recipe.teacher_warmup_epochs == 0 else first + (last - first) * share


NETWORK = Dino
