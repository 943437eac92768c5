"""How well features separate the classes before any head: k nearest neighbors."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

TEMPERATURE = 0.07


def knn_predict(
    train_features: np.ndarray, train_targets: np.ndarray, features: np.ndarray, k: int = 20
) -> np.ndarray:
    """Class of each feature by a weighted vote of its k nearest training features.

    Cosine similarity s, votes exp(s / 0.07), as Wu et al., "Unsupervised Feature Learning via
    Non-Parametric Instance Discrimination" (CVPR 2018, sec. 3.4) and DINO do.

    Args:
        train_features: (n, features).
        train_targets: (n,) class indices.
        features: (m, features).
        k: Neighbors; all of them if there are fewer.

    Returns:
        (m,) class indices.
    """
    classifier = KNeighborsClassifier(
        n_neighbors=min(k, len(train_features)), metric="cosine", weights=_votes
    )
    return np.asarray(classifier.fit(train_features, train_targets).predict(features))


def _votes(distances: np.ndarray) -> np.ndarray:
    # exp(s / T) with s = 1 - distance, without the constant factor exp(1 / T).
    return np.exp(-distances / TEMPERATURE)
