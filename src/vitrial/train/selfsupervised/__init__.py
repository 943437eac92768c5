"""Self-supervision: methods, their views and their loop.

The loop shares with the supervised one what `vitrial.train` holds; it never sees a label.
"""
