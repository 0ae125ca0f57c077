"""Pairs of processes in alternation, their ratios, the evidence and verdict, and own steps."""
