"""A Docker engine: where it is, how it is asked, what its answers mean. Knows nothing of runs beyond labels."""
