"""Sides of a comparison: commits, interpreters and versions, in environments of their own."""
