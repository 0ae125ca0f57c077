"""The audit of timed work: is the time all of it, and is it the work that was reported?

Runs, duels and gates share it: :mod:`harness.core.audit.clock` sums up two clocks and the CPU time of a
training, :mod:`harness.core.audit.segments` keeps states of the training, and
:mod:`harness.core.audit.audit` has drawn parts of it repeated. :mod:`harness.core.audit.budgets` has all
limits. This folder may import workers, certificates and training; it must not know records of runs, duels or
gates.
"""
