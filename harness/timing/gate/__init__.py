"""Gates: base and head compared benchmark by benchmark, so that a regression fails a pull request.

A suite says what is compared and what is allowed; a record holds the measurements and the reasons of each
verdict.
"""
