"""What the trial claims of its arms, registered before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from vitrial.protocol.section import EndpointName, Section

if TYPE_CHECKING:
    from vitrial.protocol import Arm

Claim = Literal["superior", "equivalent", "non-inferior"]

MOST_COMPARISONS = 1000
PAPER, ON_PAR, PRIMARY = "paper", "on par", "primary"
"""Families: the paper's claims (Matsoukas et al. 2021, arXiv 2108.09038), its authors' later
reading (arXiv 2303.07034), and what a protocol registers itself."""


class RegisteredComparison(Section):
    """A claim about two arms.

    Attributes:
        treatment: The arm that the claim speaks of, by its name, `backbone / initialization`.
        control: The arm that it is compared with.
        claim: What the treatment is claimed to be: `superior` (better at all), `equivalent` (the
            difference is smaller than the margin both ways) or `non-inferior` (worse by less than
            the margin).
        margin: Smallest difference that matters; the protocol's if left out.
        endpoint: The metric; the protocol's if left out.
        alpha: Two-sided error: the interval has level 1 - alpha, and the claim's one-sided p-value
            is held against alpha / 2.
        family: Claims of one family are adjusted for their number (Holm).
    """

    treatment: str
    control: str
    claim: Claim
    margin: Annotated[float, Field(gt=0, le=1)] | None = None
    endpoint: EndpointName | None = None
    alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    family: Annotated[str, Field(min_length=1, max_length=100)] = PRIMARY


def default_comparisons(
    arms: Sequence[Arm], families: Mapping[str, str]
) -> list[RegisteredComparison]:
    """The paper's claims for the arms at hand, and its authors' later reading of them.

    For every CNN and transformer of the same initialization. The paper: from scratch the CNN is
    superior; pretrained, they are equivalent; with self-supervision on the domain's images the
    transformer is superior. Later: pretrained or self-supervised, they are on par. Without such a
    pair every arm is claimed to be superior to the first.

    Args:
        arms: The protocol's.
        families: Of each backbone, as by `vitrial.models.family.family_of`.
    """
    of = {
        kind: [a for a in arms if families[a.backbone] == kind] for kind in ("cnn", "transformer")
    }
    pairs = [
        (cnn, transformer)
        for cnn in of["cnn"]
        for transformer in of["transformer"]
        if str(cnn.origin) == str(transformer.origin)
    ]
    if not pairs:
        first, *others = arms
        return [_claimed(arm, first, "superior", PRIMARY) for arm in others]
    return [*_of_the_paper(pairs), *_on_par(pairs)]


def _of_the_paper(pairs: Sequence[tuple[Arm, Arm]]) -> list[RegisteredComparison]:
    found = []
    for cnn, transformer in pairs:
        if cnn.origin.method:
            found.append(_claimed(transformer, cnn, "superior", PAPER))
        elif cnn.origin.kind == "random":
            found.append(_claimed(cnn, transformer, "superior", PAPER))
        else:
            found.append(_claimed(transformer, cnn, "equivalent", PAPER))
    return found


def _on_par(pairs: Sequence[tuple[Arm, Arm]]) -> list[RegisteredComparison]:
    return [
        _claimed(transformer, cnn, "equivalent", ON_PAR)
        for cnn, transformer in pairs
        if cnn.origin.method or cnn.origin.kind != "random"
    ]


def _claimed(treatment: Arm, control: Arm, claim: Claim, family: str) -> RegisteredComparison:
    return RegisteredComparison(
        treatment=treatment.name, control=control.name, claim=claim, family=family
    )
