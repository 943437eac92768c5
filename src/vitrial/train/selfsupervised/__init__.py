"""Self-supervision: methods, their views and their loop."""
