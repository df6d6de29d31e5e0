"""``python -m nodeyard.cli``."""

from nodeyard.cli import main

main()
