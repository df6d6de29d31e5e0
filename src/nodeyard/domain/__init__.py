"""Frozen values and pure rules. Level 1: sees errors only; nothing here reads, writes, waits or prints."""
