"""The training loops, what they share, and how they resume.

Imports evaluation, models, data, the protocol and the leaves; knows no study.
"""
