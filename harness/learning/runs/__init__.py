"""Runs compared: which are comparable, speed, quality, overfitting, and the report of runs."""
