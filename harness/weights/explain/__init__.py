"""Explanations of a trained network: which inputs its output depends on, in NumPy for all frameworks."""
