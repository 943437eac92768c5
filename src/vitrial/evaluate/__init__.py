"""Predictions, and the metrics that score them."""
