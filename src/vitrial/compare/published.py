"""Figures of the paper's Table 1, to stand beside one's own.

Matsoukas, Haslum, Söderberg and Smith, "Is it Time to Replace CNNs with Transformers for Medical
Images?", arXiv:2108.09038: medians of five repetitions on the authors' own splits.
"""

from __future__ import annotations

from dataclasses import dataclass

BACKBONES = ("resnet50", "deit_small_patch16_224")
"""The paper's ResNet50 and DeiT-S, as timm names them."""


@dataclass(frozen=True)
class Published:
    """A column of Table 1.

    Attributes:
        endpoint: The paper's.
        medians: By initialization: of `BACKBONES`.
    """

    endpoint: str
    medians: dict[str, tuple[float, float]]

    def median(self, backbone: str, initialization: str) -> float | None:
        """The paper's median of an arm; None where it has none."""
        of_backbones = self.medians.get(initialization)
        if of_backbones is None or backbone not in BACKBONES:
            return None
        return of_backbones[BACKBONES.index(backbone)]


PUBLISHED = {
    "aptos2019": Published(
        "quadratic_kappa",
        {"random": (0.849, 0.687), "imagenet": (0.893, 0.896), "imagenet+dino": (0.894, 0.896)},
    ),
    "isic2019": Published(
        "balanced_accuracy",
        {"random": (0.662, 0.579), "imagenet": (0.810, 0.844), "imagenet+dino": (0.833, 0.853)},
    ),
    "cbis_ddsm": Published(
        "roc_auc",
        {"random": (0.917, 0.908), "imagenet": (0.953, 0.947), "imagenet+dino": (0.955, 0.956)},
    ),
}
"""By the name of the data source. Which images of DDSM the paper has is not certain."""
