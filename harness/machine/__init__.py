"""The machine: its description, its load, its counters, and the environment that processes start with.

This room imports only :mod:`harness.errors`. It must not know tasks, plugins or what a process is started
for.
"""
