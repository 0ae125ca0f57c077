"""Steps of the user's own: a factory makes a step in a fresh process, where it is called, timed and compared.

``program.py`` is that process, ``program_profile.py`` the part of it that profiles. They import the standard
library alone, so that the interpreter of a side needs no harness.
"""
