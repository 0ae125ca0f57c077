"""Benchmarks of deep-learning frameworks that prove the same work first, then time it."""

from importlib import metadata

__version__ = metadata.version("dl-harness")
