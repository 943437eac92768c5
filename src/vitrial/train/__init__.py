"""The training loops, what they share, and how they resume."""
