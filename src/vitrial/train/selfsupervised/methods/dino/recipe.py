"""How DINO trains."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from vitrial.protocol.section import Epochs, Fraction, Positive, PositivePair, Width
from vitrial.protocol.selfsupervision import LocalViews, SelfSupervision, TwoViews, View


class Dino(SelfSupervision):
    """DINO (Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", 2021).

    Attributes:
        global_views: Two large views of `augment.crop` pixels, for teacher and student.
        local_views: Small ones, for the student.
        hidden_dim: Width of the head's two hidden layers.
        bottleneck_dim: Width before the last layer.
        output_dim: Of the head: 4,096 as Matsoukas et al.; 65,536 as the DINO paper.
        student_temperature: Of the student's softmax.
        teacher_temperature: Of the teacher's softmax at the start and after its warm-up.
        teacher_warmup_epochs: Epochs over which the teacher's temperature grows linearly.
        center_momentum: Of the moving average that is taken off the teacher's outputs.
        freeze_last_layer: Epochs in which the head's last layer is left as it is.
    """

    global_views: TwoViews = (View(blur=1.0), View(blur=0.1, solarize=0.2))
    local_views: LocalViews = LocalViews()
    hidden_dim: Width = 2048
    bottleneck_dim: Width = 256
    output_dim: int = Field(4096, ge=2, le=1_000_000)
    student_temperature: Positive = 0.1
    teacher_temperature: PositivePair = (0.04, 0.07)
    teacher_warmup_epochs: Epochs = 30
    center_momentum: Fraction = 0.9
    freeze_last_layer: Epochs = 1

    @property
    def small_views(self) -> tuple[tuple[str, ...], int] | None:
        """The local views."""
        return (("local_views", "size"), self.local_views.size) if self.local_views.count else None

    @classmethod
    def in_proportion(cls, crop: int) -> dict[str, Any]:
        """Local views of 3/7 of the large ones' side (96 of 224), in whole patches of 16 pixels."""
        return {"local_views": {"size": max(32, crop * 3 // 7 // 16 * 16)}}


RECIPE = Dino
