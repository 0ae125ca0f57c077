"""Bundles: records in one file with all that repeating them needs, made for others and opened with care."""
