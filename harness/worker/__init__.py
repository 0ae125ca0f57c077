"""The process boundary: the worker, what parent and worker say to each other, and the parent's handle on it.

``python -m harness.worker`` is the child. This room imports training and certification, which the child
carries out. It must not know records, duels or gates.
"""
