"""Explanations of a trained network: which inputs its output depends on, in NumPy, once for all frameworks.

A program gives outputs and gradients by its inputs; all else is computed here. This room may import
:mod:`harness.training` and what is below it, and knows no framework, no record and no worker.
"""
