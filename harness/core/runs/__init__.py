"""Runs: one training of one task in a worker, its record, the folder of records, planning of many runs.

This room may import the worker and what describes a run. It must not know how runs are compared or shown.
"""
