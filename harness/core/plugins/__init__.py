"""Plugins: finding, loading and checking them, and the options that their tasks declare.

This folder may import the contract (:mod:`harness.spec`, :mod:`harness.hookspecs`) and the machine. It must
not know how anything is trained, timed or reported.
"""
