"""Files in, pixels out: reading, decoding, DICOM, masks.

Nothing here knows classes or splits. `decoded` is what all formats share, `decode` chooses one.
"""
