"""The machine: its description, load and counters, its CPUs, and the processes and variables of workers.

This folder may import only :mod:`harness.errors`. It must not know tasks, plugins, or the work of a process.
"""
