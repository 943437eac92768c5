"""From files to batches: manifest, audit, split, pixel cache, augmented views.

Imports the protocol and the leaves. Inside, `io` knows files and pixels, `sources` and `audit` know
labels and groups; `prepared` puts them together.
"""
