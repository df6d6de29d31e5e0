"""Benchmarks: what Nodeyard adds to the least that anybody would need for the same work.

Each side of a pair runs in a fresh process of its own (``worker``), sides take turns, and medians are compared.
Importing this imports nothing, so that the bare side of a comparison stays bare.
"""
