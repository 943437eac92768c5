"""What lies on disk of a study: its folder, the folders of its runs, their weights."""
