"""What is wrong with a data set or odd in it: copies, leaks, shortcuts, masks; all at once.

Imports `data.io`, `data.sources` and the pixel cache.
"""
