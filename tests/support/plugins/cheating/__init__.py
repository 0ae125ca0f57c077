"""Backends that cheat: the NumPy backend of the guide, honest but for one thing each."""
