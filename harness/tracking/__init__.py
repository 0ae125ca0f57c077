"""Tracking: runs in the tools that teams keep experiments in, one file for each tool.

Nothing here changes a record, and nothing here runs while a run trains.
"""
