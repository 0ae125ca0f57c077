"""Plugins: finding, loading and checking them, and the options that their tasks declare.

This room imports the contract (:mod:`harness.spec`, :mod:`harness.hookspecs`) and the machine's processes.
It must not know what is trained, timed or reported.
"""
