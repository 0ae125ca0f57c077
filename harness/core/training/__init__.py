"""Inputs of every backend, and its scoring: draws, batches, splits, initial weights, scores in NumPy.

This folder may import the contract, plugins, the machine and the statistics. It must not know workers,
records or frameworks.
"""
