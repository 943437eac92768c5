"""Files in, pixels out: reading, decoding, DICOM, masks; nothing here knows classes or splits."""
