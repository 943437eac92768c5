"""From files to batches: manifest, audit, split, pixel cache, augmented views."""
