"""Steps of the user's own: a factory makes a step in a fresh process, where it is called, timed and compared.

``program.py`` is that process, with ``search_path.py`` and the other files that begin with ``program``. They
import the standard library alone, so that the interpreter of a side needs no harness.
"""
