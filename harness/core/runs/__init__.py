"""Runs: the training of a task in a worker, its record and page, storage, and planning of many runs.

This folder may import the worker and the folders below it. It must not know how runs are compared.
"""
