"""Data sets made of the user's files: arrays, tables, and folders of pictures.

A file becomes an ordinary data set of the contract in the cache, so that nothing else knows of files.
"""
