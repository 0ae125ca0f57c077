"""Statistics on plain numbers: estimates, evidence, equivalence, change points, when times have settled.

This room imports nothing of the harness. It must not know what the numbers measure.
"""
