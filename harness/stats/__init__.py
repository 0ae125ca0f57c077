"""Statistics on plain numbers: estimates with intervals, tests, sequential looks, equivalence, change points.

This room imports nothing of the harness. It must not know what the numbers measure.
"""
