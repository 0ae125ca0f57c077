"""Renderers of documents: terminal, Markdown, HTML and LaTeX; charts for notebooks.

A renderer knows nodes but no subject, and escapes every text that it writes.
"""
