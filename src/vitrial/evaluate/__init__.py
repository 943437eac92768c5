"""Predictions of a model, image by image, and nearest neighbors of its features.

Imports models, data, the protocol and the leaves.
"""
