"""Names of backbones and of their pretrained weights, checked without building any."""

from __future__ import annotations

import re
from functools import cache

from vitrial.spelling import did_you_mean


def check_backbone(name: str) -> None:
    """Check that timm has a backbone of this name, perhaps with a pretrained tag (`name.tag`).

    Raises:
        ValueError: It has not; the sentence gives the nearest names.
    """
    if name not in _models() | _pretrained():
        hint = did_you_mean(name, sorted(_models() | _pretrained()), count=3)
        raise ValueError(f"timm has no backbone '{name}'{hint or ': see timm.list_models()'}")


def has_weights(name: str) -> bool:
    """Whether timm's hub has pretrained weights of this backbone."""
    architecture, _, tag = name.partition(".")
    return name in _pretrained() if tag else architecture in _pretrained_architectures()


def tags_of(name: str) -> list[str]:
    """The tags of a backbone's pretrained weights on timm's hub; of a name with a tag, none."""
    return sorted(full[len(name) + 1 :] for full in _pretrained() if full.startswith(f"{name}."))


def timm_name(backbone: str, tag: str) -> str:
    """The name in timm of a backbone with weights of this tag, or of timm's default tag if empty.

    Raises:
        ValueError: timm has no such weights; the sentence lists those that it has.
    """
    if tag in tags_of(backbone):
        return f"{backbone}.{tag}"
    if tag:
        hint = did_you_mean(tag, tags_of(backbone), count=3)
        known = ", ".join(tags_of(backbone)) or "none"
        raise ValueError(f"timm has no tag '{tag}' of {backbone}{hint or f': it has {known}'}")
    if not has_weights(backbone):
        raise ValueError(f"timm has no weights of {backbone}: name a file of yours by file:PATH")
    from timm.models import get_pretrained_cfg

    cfg = get_pretrained_cfg(backbone)
    return f"{cfg.architecture}.{cfg.tag}"


def imagenet_name(backbone: str, tag: str) -> str:
    """The name in timm of a backbone with weights that were trained on ImageNet-1k alone.

    Args:
        backbone: A name of timm's; the tag that it may carry is the one that is meant.
        tag: Which of the weights; the first of `imagenet_tags` if empty.

    Raises:
        ValueError: There are none, or those of this tag saw other data; the sentence lists the
            tags that qualify, or all that there are.
    """
    architecture, _, own = backbone.partition(".")
    tag = tag or own
    if tag:
        timm_name(architecture, tag)
    qualify = imagenet_tags(architecture)
    if not qualify:
        known = ", ".join(tags_of(architecture))
        raise ValueError(
            f"timm has no weights of {architecture} that were trained on ImageNet-1k alone: "
            + (f"name one of its others by timm:TAG ({known}), or " if known else "name ")
            + "a file of yours by file:PATH"
        )
    if tag and tag not in qualify:
        raise ValueError(
            f"the weights {tag} of {architecture} were not trained on ImageNet-1k alone: choose "
            f"imagenet:TAG with {', '.join(qualify)}, or say timm:{tag}"
        )
    return f"{architecture}.{tag or qualify[0]}"


@cache
def imagenet_tags(architecture: str) -> tuple[str, ...]:
    """Tags of the weights that were trained on ImageNet-1k alone, the plainest recipe first.

    First come the original recipes of torchvision (`tv_in1k`) and of the papers of Facebook
    (`fb_in1k`); then those without a teacher, without a second training (`ft`), at the
    architecture's own resolution; among equals timm's own order counts, its default first.
    """
    if "ssld" in architecture:  # PaddlePaddle's distillation, see _OTHER_DATA
        return ()
    from timm.models import get_arch_pretrained_cfgs

    names = [name for name in get_arch_pretrained_cfgs(architecture) if name in _pretrained()]
    tags = [name.partition(".")[2] for name in names]
    return tuple(sorted(filter(_is_imagenet_alone, tags), key=_departures))


_PLAIN = ("tv_in1k", "fb_in1k")
_OTHER_DATA = re.compile(
    # ImageNet-12k, -21k, -22k, and what Winter 2021's edition of it is called.
    r"in12k|inw?21k|in22k"
    # Images of Google, Flickr, Instagram; features of CLIP and its kin.
    r"|jft|yfcc|ig1b|swag|seer|laion|openai|clip|webli|lvd|m30m|m38m"
    # Teachers that saw more: of PaddlePaddle's SSLD (4 million images of ImageNet-22k), of USI
    # (ImageNet-21k), of Google's distilled BiT (ImageNet-21k).
    r"|ssld|usi_|goog_distilled"
)
_CLIP_TOKENS = "in1k_ft_in1k"
"""BEiT v2, whose pretraining on ImageNet-1k predicts tokens that CLIP taught."""


def _is_imagenet_alone(tag: str) -> bool:
    """Whether timm's tag says that ImageNet-1k, and no other data or teacher, made the weights.

    The words of a tag name recipe and data in the order in which they were used: `..._in1k`, then
    perhaps a resolution.
    """
    words = tag.split("_")
    if words[-1].isdecimal():
        words.pop()
    if words[-1] != "in1k" or _OTHER_DATA.search(tag) or tag == _CLIP_TOKENS:
        return False
    # What was fine-tuned saw ImageNet-1k before, too: with labels or, in FCMAE and MAE, without.
    before = words[: words.index("ft")] if "ft" in words else []
    return not before or before[-1] in ("in1k", "fcmae")


def _departures(tag: str) -> tuple[bool, ...]:
    """How a recipe departs from the plain one, the gravest first."""
    words = tag.split("_")
    distilled = any(word.startswith("dist") for word in words)
    return (tag not in _PLAIN, distilled, "ft" in words, words[-1].isdecimal())


# timm brings torch with it, which takes seconds: it is imported at the first name to check.
@cache
def _models() -> frozenset[str]:
    import timm

    return frozenset(timm.list_models())


@cache
def _pretrained() -> frozenset[str]:
    import timm

    return frozenset(timm.list_pretrained())


@cache
def _pretrained_architectures() -> frozenset[str]:
    return frozenset(name.partition(".")[0] for name in _pretrained())
