"""The ledger's file: its lines, its lock, its end. Level 3: sees ports and domain only.

Must not live here: carrying it out (``bootstrap.cleanup``), and the reaper (``app``).
"""
