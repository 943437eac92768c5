"""Carrying a protocol out: its plan, its checks, its stages.

Imports everything but explanations, the report and the command line.
"""
