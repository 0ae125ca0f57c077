"""Renderers of documents: terminal, Markdown, HTML, LaTeX and notebook.

A renderer knows nodes but no subject, and escapes every text that it writes.
"""
