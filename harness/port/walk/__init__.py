"""The walk from input to output: each call whose input is right and whose output is not, and its cause."""
