"""The reference, in plain NumPy: layers, objectives and optimizers of the contract, calls of own models.

Certificates, audits and ports are judged by it, and try the usual mistakes in it. It may import the contract
and the vocabulary of calls alone: code that it shared with a backend would hide the mistakes of both.
"""
