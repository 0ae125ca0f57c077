"""Training in plain NumPy with a backward pass by hand: the contract of :mod:`harness.spec` in code.

Certificates, audits and ports are measured by it. It may import the contract alone: code that it shared with
a backend would hide the mistakes of both.
"""
