"""What is compared: a backbone x an initialization."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationInfo, field_serializer, field_validator

from vitrial.protocol.initialization import Initialization, parse_initialization
from vitrial.protocol.recipe import Recipe
from vitrial.protocol.section import Section, absolute


class Arm(Section):
    """A backbone x an initialization.

    Whether timm has them is no part of what makes an arm valid: `unknown_names` of
    `vitrial.protocol.checks` asks timm, whose import takes seconds.

    Attributes:
        backbone: The name of a timm model.
        initialization: `random`; `imagenet` (weights of timm's that were trained on ImageNet-1k
            alone, by the plainest recipe; `imagenet:TAG` says which); `timm` (timm's default
            weights, whatever they were trained on; `timm:TAG` says which); `file:PATH` (a local
            .safetensors or .pth file of this architecture); or `transfer:NAME` (supervised
            pretraining on the entry NAME of `sources`). Each may be followed by a method,
            such as `+dino`: self-supervision on the training images.
        recipe: Where this arm is fine-tuned otherwise than by the protocol's recipe: the keys that
            are given replace that recipe's, such as `{base_lr: 3e-4, optimizer: adamw}`.
        id: What the arm is called; `backbone / initialization` if left out. Arms of the same
            backbone and initialization, which differ by their recipes, need one each.
    """

    backbone: str
    initialization: str = "random"
    recipe: Recipe | None = None
    id: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")

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
        """Its id, or `backbone / initialization`: names it in tables and makes its seeds."""
        return self.id or f"{self.backbone} / {self.origin}"

    @property
    def changes(self) -> dict[str, Any]:
        """The keys of the recipe that the arm states, and their values."""
        return {} if self.recipe is None else self.recipe.model_dump(exclude_unset=True)

    def with_rate(self, base_lr: float) -> Arm:
        """The arm with another base learning rate of its own."""
        recipe = Recipe.model_validate({**self.changes, "base_lr": base_lr})
        return self.model_copy(update={"recipe": recipe})

    @field_serializer("recipe")
    def _given_keys(self, recipe: Recipe | None) -> dict[str, Any] | None:
        return None if recipe is None else recipe.model_dump(mode="json", exclude_unset=True)

    @field_validator("initialization")
    @classmethod
    def _readable(cls, text: str, info: ValidationInfo) -> str:
        origin = parse_initialization(text)
        if origin.kind != "file":
            return text
        path = absolute(Path(origin.of), info)
        return f"file:{path}" + (f"+{origin.method}" if origin.method else "")
