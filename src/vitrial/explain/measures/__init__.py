"""What is measured of a map: right, faithful, sane, sharp."""
