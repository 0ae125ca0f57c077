"""Gates: base and head compared benchmark by benchmark, so that a regression fails a pull request.

A suite says what is compared and what is allowed; a record holds what was measured and why each verdict is
what it is. Builds on duels, certificates' first steps and statistics. Knows neither reports nor the command
line: what a person reads is rendered from records elsewhere.
"""
