"""Pages that a browser asks for: a study as it runs, and its models' answers to a dropped image.

Imports all but the command line, which starts it.
"""
