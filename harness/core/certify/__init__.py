"""Proof that a backend does the reference's work: cases, what a program does in them, certificates.

This folder may import the reference, training, plugins, statistics, the machine and the contract. It must not
start workers, and must not know records of runs.
"""
