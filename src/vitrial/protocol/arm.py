"""What is compared: a backbone x an initialization."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationInfo, field_validator

from vitrial.protocol.initialization import Initialization, parse_initialization
from vitrial.protocol.section import Rate, Section, absolute


class Arm(Section):
    """A backbone x an initialization.

    Whether timm has them is no part of what makes an arm valid: `unknown_names` of
    `vitrial.protocol.checks` asks timm, whose import takes seconds.

    Attributes:
        backbone: A name of timm's.
        initialization: `random`; `imagenet` (weights of timm's that were trained on ImageNet-1k
            alone, by the plainest recipe; `imagenet:TAG` says which); `timm` (timm's default
            weights, whatever they were trained on; `timm:TAG` says which); `file:PATH` (a local
            .safetensors or .pth file of this architecture); or `transfer:NAME` (supervised
            pretraining on the entry NAME of `sources`). Each may be followed by a method,
            such as `+dino`: self-supervision on the training images.
        base_lr: This arm's own base learning rate.
    """

    backbone: str
    initialization: str = "random"
    base_lr: Rate | None = None

    @property
    def origin(self) -> Initialization:
        """The initialization, taken apart."""
        return parse_initialization(self.initialization)

    @property
    def model(self) -> str:
        """The name in timm: the backbone's, with the tag of timm's weights that it starts from.

        Raises:
            ValueError: timm has no such weights.
        """
        from vitrial.models.names import imagenet_name, timm_name

        resolve = {"imagenet": imagenet_name, "timm": timm_name}.get(self.origin.kind)
        return resolve(self.backbone, self.origin.of) if resolve else self.backbone

    @property
    def tag(self) -> str | None:
        """The tag of timm's weights that it starts from; None if it starts from others."""
        return self.model.partition(".")[2] if self.origin.kind in ("imagenet", "timm") else None

    @property
    def name(self) -> str:
        """`backbone / initialization`, as it stands in tables."""
        return f"{self.backbone} / {self.origin}"

    @field_validator("initialization")
    @classmethod
    def _readable(cls, text: str, info: ValidationInfo) -> str:
        origin = parse_initialization(text)
        if origin.kind != "file":
            return text
        path = absolute(Path(origin.of), info)
        return f"file:{path}" + (f"+{origin.method}" if origin.method else "")
