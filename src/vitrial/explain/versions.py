"""The versions of what decides an explanation's numbers, raised by hand: parts are kept by them.

Raise a number when the same run and images would give other numbers than before. What was measured
under another number is measured anew.
"""

from __future__ import annotations

from vitrial.explain.methods import METHODS

BASELINES = 1
"""Of the baselines' maps; a method's is in its file."""
MEASURES = 1
"""Of localization, deletion and insertion, sharpness, and the central view of images and masks."""
FEATURES = 1
"""Of pooled features."""
PLANE = 1
"""Of the places of test images in a plane."""
SANITY = 1
"""Of the randomization of weights and the correlation of maps."""


def version_of(method: str) -> int:
    """The version of a method's or a baseline's maps."""
    version: int = METHODS.entry(method).VERSION if method in METHODS.names() else BASELINES
    return version
