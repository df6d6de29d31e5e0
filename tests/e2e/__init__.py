"""The product from outside: its command line, real nodes, real signals."""
