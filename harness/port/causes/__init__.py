"""Causes that the walk does not find: copies, statistics, dropout, losses, optimizers, precision."""
