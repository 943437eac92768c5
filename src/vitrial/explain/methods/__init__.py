"""Methods of explanation, one file each, and the one call for all.

They know a model and images alone: no data set, run or study.
"""
