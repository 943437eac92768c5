"""Whether an image is like the training images: how far away its nearest ones are, by features.

Sun, Ming, Zhu and Li, "Out-of-Distribution Detection with Deep Nearest Neighbors" (ICML 2022): the
distance to the k-th nearest training image, of features of unit length. How far is too far is said
as in conformal anomaly detection (Laxhammar and Falkman, 2010): by rank among images that are of
the same kind and were not trained on, here those of validation.
"""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

K = 5
"""Which neighbor's distance counts: see `UNLIKE`."""
UNLIKE = 0.01
"""An image counts as unlike the training images if no more than this share of images of the same
kind lie as far away. See `benchmarks/unlike.py`."""


class Neighborhood:
    """Training images by their features, and how far away validation images are of them.

    Args:
        train: (n, features) of the training images.
        val: (m, features) of the validation images, which no weights were fitted to.
        k: Which neighbor's distance counts; the last if there are fewer.

    Attributes:
        distances: float64 (m,), of the validation images, ascending.
    """

    def __init__(self, train: np.ndarray, val: np.ndarray, k: int = K) -> None:
        self.k = min(k, len(train))
        self._training = NearestNeighbors(metric="cosine").fit(train.astype(np.float32))
        self.distances = np.sort(self.nearest(val)[1][:, -1])

    def nearest(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest training images of each image, the nearest first.

        Args:
            features: (n, features).

        Returns:
            Their rows int64 (n, k), and their cosine distances float64 (n, k), in [0, 2].
        """
        distances, rows = self._training.kneighbors(features.astype(np.float32), self.k)
        return rows, distances.astype(np.float64)

    def rarity(self, distance: np.ndarray) -> np.ndarray:
        """How rare it is to be so far away from the k-th neighbor: in (0, 1], small if rare.

        For an image of the same kind, the chance that this is p or less is at most p (a conformal
        p-value).

        Args:
            distance: (n,) to the k-th neighbors.
        """
        as_far = len(self.distances) - np.searchsorted(self.distances, distance, side="left")
        return np.asarray((as_far + 1) / (len(self.distances) + 1))
