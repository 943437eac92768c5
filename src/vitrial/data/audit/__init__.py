"""What is wrong with a data set or odd in it: copies, leaks, shortcuts, masks; all at once."""
