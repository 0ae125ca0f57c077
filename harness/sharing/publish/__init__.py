"""A static site of all records of a results folder."""
