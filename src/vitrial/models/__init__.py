"""Backbones by name, the weights that they start from, and what fits them."""
