"""What lies on disk of a study: its folder, the folders of its runs, their weights.

Imports comparisons (a study can show its table) and all that is below; never what runs a study.
"""
