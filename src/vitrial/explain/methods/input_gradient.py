"""The gradient with regard to pixels, by captum (Simonyan et al. 2014)."""

from __future__ import annotations

from torch import Tensor, nn

from vitrial.explain.gradients import answer

LABEL = "input gradient"
SUMMARY = "Which pixels change the logit of the class the most by a small step."
FAMILIES = frozenset(("cnn", "transformer", "hybrid", "other"))
VERSION = 1
ORDER = 50
ANY_MODEL = True


def maps(model: nn.Module, images: Tensor, target: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The largest absolute gradient over a pixel's channels (Simonyan et al. 2014, sec. 3.1).

    Args:
        model: In evaluation mode, its parameters frozen.
        images: Normalized (n, channels, height, width).
        target: (n,) the class to explain; the predicted one if left out.

    Returns:
        (n, height, width), nonnegative, and the logits.
    """
    from captum.attr import Saliency

    logits, target = answer(model, images, target)
    pixels = images.detach().clone().requires_grad_()
    gradient: Tensor = Saliency(model).attribute(pixels, target=target, abs=True)
    return gradient.detach().amax(dim=1), logits
