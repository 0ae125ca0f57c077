"""Pairs of parameters: which of A's belong to which of B's, and the values of A in B."""
