"""Parts that backends may share: feeding of steps and predictions, rules of a step, a program of functions.

The built-in backends use the parts that cost them no speed, and keep the losses and optimizers of their
frameworks; a backend whose framework has none takes all of them. This package may import only the contract
(:mod:`harness.spec`, ``network``, ``layers``, ``errors``) and NumPy. :mod:`harness.core.reference` never
imports this package: a certificate would miss an error that they share.
"""
