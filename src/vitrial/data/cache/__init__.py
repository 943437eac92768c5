"""The pixel cache: every image of a data set decoded once, and read at random.

`format` is how it lies on disk, `pixels` reads it, `shards` and `making` make it.
"""

from vitrial.data.cache.making import default_root, prepare
from vitrial.data.cache.pixels import AT_ONCE, DamagedCacheError, PixelCache

__all__ = ["AT_ONCE", "DamagedCacheError", "PixelCache", "default_root", "prepare"]
