"""Synthetic medical images, drawn rather than downloaded.

They show what the package does within seconds and without a download, and they test it where the
right answer is known. They are caricatures: no result on them says anything about real images.
"""
