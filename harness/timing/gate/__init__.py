"""Gates: base and head compared benchmark by benchmark, so that a regression fails a pull request.

A suite says what is compared and what is allowed; a record holds what was measured and the reasons of each
verdict. Builds on duels and statistics. Does not know reports or the command line: they render records.
"""
