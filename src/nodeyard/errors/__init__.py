"""Every error type, by layer. Level 0: imports nothing of Nodeyard."""
