"""Causes that the walk does not find: statistics, dropout, losses, optimizers."""
