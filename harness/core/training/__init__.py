"""What every backend receives and is scored by: draws, batches, splits, initial weights, scores in NumPy.

This folder may import the contract, plugins, the machine and the statistics. It must not know workers,
records or frameworks.
"""
