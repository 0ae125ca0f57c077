"""Tracking: runs in the tools that teams follow experiments with, one file for each tool.

Nothing here changes a record or a run: whatever a tool does, training continues. Nothing here runs while
steps are timed.
"""
