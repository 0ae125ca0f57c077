"""The process boundary: the worker, the protocol between parent and worker, and the parent's handle on it.

``python -m harness.core.worker`` is the child. This folder may import training and certification, which the
child carries out. It must not know records, duels or gates.
"""
