"""One test scenario over a network of nodes, wherever the nodes come from."""
