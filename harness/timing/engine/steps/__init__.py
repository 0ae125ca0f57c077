"""Steps of the user's own: a factory makes one in a fresh process, where it is called, timed and compared.

``program.py`` is that process. It imports Python's own library alone, so that the interpreter of a side needs
no harness. This room imports the worker and what is below it, and must not know duels, gates or reports.
"""
