"""Repetition of records: a kind of record states how it is repeated, and when two of it agree."""
