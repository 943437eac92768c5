"""What is measured of a map: right, faithful, sane, sharp.

One file per measure; functions of maps, images, masks and a model, which know no study.
"""
