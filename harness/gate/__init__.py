"""Gates: head held against base, benchmark by benchmark, so that a pull request that costs is stopped.

Base and head are two interpreters (two virtual environments) on one machine in one job. A suite says
what is tried and what is allowed; a gate's record says what was found and why.
"""
