"""The page, computed from what lies on disk."""
