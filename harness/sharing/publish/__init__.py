"""A static site from the records of a results folder."""
