"""Time, waiting and tasks. Level 0: imports nothing of Nodeyard and knows nothing of nodes."""
