"""A perceptual hash of coarse structure, which a turn or a mirror changes in a known way.

Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn

from vitrial.data.audit.alignment import POSES, TURNS, posed

RADIUS = 12
"""Bits of 63 in which the hashes of a pair may differ."""


def waves(structure: np.ndarray) -> np.ndarray:
    """The 8 x 8 lowest coefficients of the cosine transform, (n, 8, 8), of coarse structures.

    Those of a picture have the norm 1, whatever its contrast; the mean, the first, is left out.
    """
    found = dctn(structure.astype(np.float32), axes=(1, 2), norm="ortho")[:, :8, :8]
    found[:, 0, 0] = 0
    norm = np.linalg.norm(found, axis=(1, 2), keepdims=True)
    scaled: np.ndarray = found / np.maximum(norm, 1e-6)
    return scaled


def hashes(structure: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Hashes uint64 (POSES, n) of coarse structures (n, COARSE, COARSE), in every pose.

    A bit says whether a coefficient of `waves` is above the common one (8, 8). Turning a picture
    swaps coefficients and changes signs, no more.
    """
    as_it_is = waves(structure)
    odd = np.where(np.arange(8) % 2, -1, 1)
    found = []
    for pose in range(POSES):
        if pose < TURNS:
            seen = as_it_is.transpose(0, 2, 1) if pose & 4 else as_it_is
            seen = seen * (odd[:, None] if pose & 2 else 1) * (odd if pose & 1 else 1)
        else:
            seen = waves(posed(structure, pose))
        bits = seen > common
        bits[:, 0, 0] = False
        found.append(np.packbits(bits.reshape(len(bits), 64), axis=1).view(np.uint64)[:, 0])
    return np.stack(found)
