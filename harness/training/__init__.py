"""What every backend is given and judged by: draws, batches, splits, initial weights, and scores in NumPy.

This room imports the contract, plugin checks and the statistics. It must not know processes, records or
frameworks.
"""
