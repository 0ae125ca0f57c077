"""Scores of recorded weights in any framework."""
