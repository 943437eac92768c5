"""Figures of the report, one file each, from tables and arrays."""
