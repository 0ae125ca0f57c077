"""Which of several sides trains faster, by how much, how sure: sides taken in turn, in fresh processes.

A *side* is a backend in a mode with its own interpreter, threads, precision, options or environment.
A *pair* is a fresh process of each side: only one runs at a time, the others are stopped. A *turn*
is one short timed block of each; the order within turns goes ABBA from a random start.
"""
