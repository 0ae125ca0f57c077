"""Duels: the fastest of several configurations, and by how much, measured in alternation.

A *pair* is a fresh process of each configuration; only one of them runs at a time, the others are stopped. A
*turn* is one short timed block of each; the order within turns is ABBA from a random start.
"""
