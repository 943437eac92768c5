"""Maps of what a model looks at, by any method: the one call for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vitrial.errors import VitrialError
from vitrial.explain.methods import METHODS
from vitrial.models.family import family
from vitrial.spelling import did_you_mean


@dataclass(frozen=True)
class Explanation:
    """Maps of a batch of images.

    Attributes:
        method: Its name.
        values: float32 (n, h, w), nonnegative, as coarse as the method gives them; they cover the
            whole image.
        heads: float32 (n, heads, h, w) for `attention`, whose mean over heads `values` are.
        target: int64 (n,) the class explained.
        logits: float32 (n, classes).
        note: What the reader should know, or nothing.
    """

    method: str
    values: np.ndarray
    heads: np.ndarray | None
    target: np.ndarray
    logits: np.ndarray
    note: str = ""

    def upsampled(self, height: int, width: int) -> np.ndarray:
        """The maps at the size of the image: float32 (n, height, width), bilinear."""
        return upsample(self.values, height, width)

    def answers(self, classes: list[str]) -> list[tuple[str, float]]:
        """The class of the largest logit of each image, and its probability."""
        shares = torch.from_numpy(self.logits).softmax(dim=1).max(dim=1)
        found = zip(shares.indices.tolist(), shares.values.tolist(), strict=True)
        return [(classes[best], share) for best, share in found]


def explain_images(
    model: nn.Module,
    images: Tensor,
    method: str = "gradcam",
    target: Tensor | int | None = None,
    batch_size: int = 32,
) -> Explanation:
    """Show what a model looks at.

    The model is put into evaluation mode and frozen meanwhile; no graph is left behind.

    Args:
        model: An image model of timm's.
        images: float32 (n, channels, height, width) on its device, normalized as it expects.
        method: A name of `vitrial.explain.methods`, such as `gradcam` or `attention`.
        target: The class to explain, for all images or (n,) for each; the predicted one if left
            out. `attention` and `rollout` know no classes.
        batch_size: Images at a time.

    Raises:
        VitrialError: There is no such method, or the model has not what it reads.
    """
    check_method(method)
    if images.ndim != 4 or len(images) == 0:
        raise VitrialError(
            f"images must be (n, channels, height, width) with n > 0, not {tuple(images.shape)}."
        )
    classes = None if target is None else torch.as_tensor(target).expand(len(images))
    known = getattr(model, "num_classes", None)
    if classes is not None and known and not 0 <= classes.min() <= classes.max() < known:
        raise VitrialError(f"target must lie in 0 ... {known - 1}, the model's classes.")
    parts = []
    with frozen(model):
        for start in range(0, len(images), batch_size):
            batch = slice(start, start + batch_size)
            chosen = None if classes is None else classes[batch].to(images.device)
            parts.append(METHODS.entry(method).maps(model, images[batch], chosen))
    maps = torch.cat([found.detach().float().cpu() for found, _ in parts]).numpy()
    logits = torch.cat([found.detach().float().cpu() for _, found in parts]).numpy()
    explained = logits.argmax(axis=1) if classes is None else classes.cpu().numpy()
    heads = maps if maps.ndim == 4 else None
    values = maps if heads is None else heads.mean(axis=1)
    return Explanation(method, values, heads, explained, logits, note_on(model, method))


def fitting_methods(model: nn.Module, images: Tensor) -> dict[str, tuple[int, int]]:
    """The methods that fit a model, tried on an image or more, and (h, w) of their maps."""
    fitting = {}
    of_family = family(model)
    with frozen(model):
        for name, method in METHODS.entries().items():
            if of_family not in method.FAMILIES:
                continue
            shape = images.shape[-2:]
            try:
                if not getattr(method, "ANY_MODEL", False):
                    shape = method.maps(model, images, None)[0].shape[-2:]
            except VitrialError:
                continue
            fitting[name] = (shape[0], shape[1])
    return fitting


def note_on(model: nn.Module, method: str) -> str:
    """What the reader of a method's maps of this model should know, or nothing."""
    note: Callable[[nn.Module], str] = getattr(METHODS.entry(method), "note", lambda model: "")
    return note(model)


def check_method(name: str) -> None:
    """Refuse what is no method.

    Raises:
        VitrialError: With the nearest, and all that there are.
    """
    known = METHODS.names()
    if name not in known:
        hint = did_you_mean(name, known)
        raise VitrialError(f"There is no method '{name}'{hint}: there are {', '.join(known)}.")


def upsample(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Maps (n, h, w) at another size, bilinear: float32 (n, height, width)."""
    grid = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[:, None]
    fine = interpolate(grid, (height, width), mode="bilinear", align_corners=False)
    return np.asarray(fine[:, 0])


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode without gradients for its parameters, for a while."""
    training = {module: module.training for module in model.modules()}
    needed = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval().requires_grad_(False)
        yield
    finally:
        for module, was in training.items():
            module.training = was
        for parameter, was in needed:
            parameter.requires_grad_(was)
