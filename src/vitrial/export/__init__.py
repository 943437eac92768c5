"""Carrying a trained model on elsewhere: files that other programs read, checked and described."""
