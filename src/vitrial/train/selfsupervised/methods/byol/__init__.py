"""BYOL: bootstrap your own latent (Grill et al., NeurIPS 2020, arXiv:2006.07733)."""
