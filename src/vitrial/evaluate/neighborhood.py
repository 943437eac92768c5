"""Whether an image is like the training images: how far away its nearest ones are, by features.

Distances are Mahalanobis's, in which every direction of the features counts by how little the
training images spread along it: Lee, Lee, Lee and Shin, "A Simple Unified Framework for Detecting
Out-of-Distribution Samples and Adversarial Attacks" (NeurIPS 2018); and to the k-th nearest
training image: Sun, Ming, Zhu and Li, "Out-of-Distribution Detection with Deep Nearest Neighbors"
(ICML 2022). Too far is said by rank among images of the same kind that were not trained on, as in
conformal anomaly detection (Laxhammar and Falkman, 2010).
"""

from __future__ import annotations

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

K = 5
"""Which neighbor's distance counts; 1 to 10 do the same (`benchmarks/unlike.py`)."""
UNLIKE = 0.05
"""An image counts as unlike the training images if no more than this share of images of their kind
lie as far away. At 0.01 chest X-rays are seldom told from skin lesions (`benchmarks/unlike.py`)."""
NEEDED = round(1 / UNLIKE) - 1
"""Validation images: with fewer, no image can be as rare as `UNLIKE`."""


class Neighborhood:
    """Training images by their features, and how far away validation images are of them.

    Args:
        train: (n, features) of the training images.
        val: (m, features) of the validation images, which no weights were fitted to.
        k: Which neighbor counts; the last if there are fewer.

    Attributes:
        distances: float64 (m,), of the validation images, ascending.
    """

    def __init__(self, train: np.ndarray, val: np.ndarray, k: int = K) -> None:
        self.k = min(k, len(train))
        train = train.astype(np.float64)
        self._similar = NearestNeighbors(metric="cosine").fit(train)
        spread = LedoitWolf().fit(train)
        variances, directions = np.linalg.eigh(spread.covariance_)
        # Features that are the same for all training images have no variance at all.
        self._scaled = directions / np.sqrt(np.maximum(variances, np.finfo(np.float32).tiny))
        self._center = spread.location_
        self._near = NearestNeighbors().fit(self._whitened(train))
        self.distances = np.sort(self.distance(val))

    def similar(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The k training images most similar to each image, the most similar first.

        Args:
            features: (n, features).

        Returns:
            Their rows int64 (n, k), and the cosines of the angles between features, float64 (n, k).
        """
        distances, rows = self._similar.kneighbors(features.astype(np.float64), self.k)
        return rows, 1 - distances

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Mahalanobis distance (n,) of images (n, features) to their k-th training neighbor."""
        near = self._near.kneighbors(self._whitened(features.astype(np.float64)), self.k)
        return np.asarray(near[0][:, -1])

    def rarity(self, features: np.ndarray) -> np.ndarray:
        """How rare it is for an image of the same kind to be as far away: in (0, 1], small if rare.

        For an image of the same kind, the chance of p or less is at most p: a conformal p-value.

        Args:
            features: (n, features).
        """
        distances = self.distance(features)
        as_far = len(self.distances) - np.searchsorted(self.distances, distances, side="left")
        return np.asarray((as_far + 1) / (len(self.distances) + 1))

    def _whitened(self, features: np.ndarray) -> np.ndarray:
        return np.asarray((features - self._center) @ self._scaled)
