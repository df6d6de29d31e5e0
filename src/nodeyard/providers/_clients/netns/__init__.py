"""Rules inside the network namespace of a node: one mechanism for processes and containers of this machine.

``namespace`` runs commands inside, ``means`` finds what this machine can do, ``firewall`` and ``queueing`` write rules
as text (pure), ``shaper`` puts them in force and takes them away, ``echoing`` looks whether packets come through.
"""
