"""``python -m nodeyard``."""

from nodeyard.cli import main

main()
