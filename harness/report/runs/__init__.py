"""Runs: sentences, tables, the document of findings, single records, and frames for notebooks and files."""
