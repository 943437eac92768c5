"""What a gray picture shows: its structure, whatever its brightness and contrast are."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

COARSE, FINE = 32, 64
"""Sides in pixels of the two reductions of a picture."""
FAINT = 0.5
"""Standard deviation of the coarse structure, of 255, below which a picture shows too little."""
_EVEN = 4.0
"""Width, in pixels, of the Gaussian within which contrast is made even."""
_FLOOR = 2.0
"""Contrast, of 255, that is not amplified: compression leaves as much in what was flat."""
_STEP = 32
"""Steps of coarse structure, stored in 8 bits, to a local standard deviation."""


def coarse_structure(gray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Structure int8 of gray pictures (n, COARSE, COARSE), and bool (n,) whether there is any."""
    smooth = _blurred(gray, 1.0)
    plain = smooth - _blurred(smooth, _EVEN)
    structure = np.clip(np.rint(_evened(plain) * _STEP), -127, 127).astype(np.int8)
    return structure, plain.std(axis=(1, 2)) >= FAINT


def fine_structure(gray: np.ndarray) -> np.ndarray:
    """Structure float32 of gray pictures (n, FINE, FINE)."""
    return _evened(gray - _blurred(gray, _EVEN))


def _evened(plain: np.ndarray) -> np.ndarray:
    evened: np.ndarray = plain / (np.sqrt(_blurred(plain**2, _EVEN)) + _FLOOR)
    return evened


def _blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    blurred: np.ndarray = gaussian_filter(images, (0, sigma, sigma), mode="nearest")
    return blurred
