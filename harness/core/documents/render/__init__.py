"""Renderers of documents: terminal, Markdown, HTML and notebook, which know nothing but nodes.

Each escapes every text that it writes. This folder must not know any subject.
"""
