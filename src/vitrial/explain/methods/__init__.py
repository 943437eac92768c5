"""Methods of explanation, one file each, and the one call for all."""
