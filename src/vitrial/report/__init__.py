"""The page and the figures, computed from what lies on disk.

Imports the store, comparisons, the audit and the readers of explanations; trains nothing, and
builds no model.
"""
