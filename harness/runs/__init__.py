"""Runs: one training of one task in a worker, its record, and the folder that keeps records.

This room imports the worker and what describes a run. It must not know how runs are compared or shown.
"""
