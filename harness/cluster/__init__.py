"""Runs and other work on the nodes of a Ray cluster, each on a node of its own, recorded by the driver alone.

The driver is the process of the command; each node has an agent, a Ray actor that occupies the whole node.
Only ``connection`` and ``nodes`` know Ray. Nothing here prints.
"""
