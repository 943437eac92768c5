"""Backbones by name, the weights that they start from, and what fits them.

Imports data, the protocol and the leaves.
"""
