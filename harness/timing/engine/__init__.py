"""Pairs of processes in alternation, their ratios, the evidence about them, and steps of the user's own."""
