"""The audit of timed work: is the time all of it, and is it the work that was reported?

One room for runs, duels and gates: :mod:`harness.audit.clock` sums up two clocks and the CPU time of a
training, :mod:`harness.audit.segments` keeps states of it, and :mod:`harness.audit.audit` has drawn parts of
it repeated. :mod:`harness.audit.budgets` has the limits of all. It may import workers, certificates and
training; it must not know records of runs, duels or gates.
"""
