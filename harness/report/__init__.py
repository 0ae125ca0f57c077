"""Reports: findings, duels and gates as terminal text, pages, Markdown, tables, notebooks and CI formats.

This room may import analysis, gates, duels, runs and everything below them. It renders structs and computes
no statistics. It must not know the command line.
"""
