"""Names of backbones, checked without building any."""

from __future__ import annotations

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
