"""Plugins: finding, loading and checking them, and the options that their tasks declare.

This room may import the contract (:mod:`harness.spec`, :mod:`harness.hookspecs`) and the machine's processes.
It must not know how anything is trained, timed or reported.
"""
