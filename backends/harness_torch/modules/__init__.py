"""Layers as torch modules, by subject.

Pictures are NCHW in torch, sequences ``(batch, steps, features)`` as in the contract.
"""
